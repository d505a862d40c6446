"""Attach region alignment to a CLIP: `harmonize(model)` gives a `Harmonized`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Self

import torch
from torch import Tensor, nn

from harmoclip.capture import Captured
from harmoclip.checks import check_batch, check_texts, flat_boxes, frozen
from harmoclip.errors import CaptureError, InputError
from harmoclip.grounding import Grounding
from harmoclip.losses import Positives
from harmoclip.losses.weights import Weight
from harmoclip.notebook import table
from harmoclip.objective import GlobalRegion, Lexemes, Objective, Options, Temperatures, Vectors, one_of
from harmoclip.ops import roi_align, span_pool
from harmoclip.sharding import call_gathered
from harmoclip.tensors import l2_normalize
from harmoclip.tokenizers import Tokenizer
from harmoclip.towers import Dense, Tap, Towers, find_towers
from harmoclip.towers.base import one_grid


def harmonize(
    model: nn.Module,
    *,
    dense: str | None = None,
    lexemes: Lexemes = "phrases",
    global_region: GlobalRegion = "caption",
    weights: Mapping[str, Weight] | None = None,
    balance: bool = False,
    temperatures: Temperatures = "shared",
    positives: Positives | None = None,
    local_loss: bool = True,
    teacher: nn.Module | None = None,
    tokenizer: Tokenizer | None = None,
) -> Harmonized:
    """Attach region alignment to a CLIP, in the manner of HarmoCLIP (arXiv 2511.22594).

    The model stays the user's: same object, same outputs, same `state_dict` keys. Harmonize before
    `torch.compile` or `fully_shard`.

    Args:
        model: Any CLIP of a supported family (see `harmoclip.towers`).
        dense: The kind of dense image feature, `plain` or `value`; the tower's default where it is None.
        lexemes: What a phrase is: its tokens in the caption's context (`spans`), its own text encoded alone
            (`phrases`), or both, their losses averaged.
        global_region: What an image's regions are held to: its `caption` or its `image` vector, by contrast
            of the regions' mean, or each region to the vector of its own crop (`crops`).
        weights: Factors of `global_contrastive`, `lexeme_region`, `global_region` (and `teacher`) in the sum;
            those not named keep their defaults (1, 2, 0.25, 1). Each is a number, or a schedule
            `[(step, weight), ...]` with straight lines between its points, where a step is one forward in
            training mode. A loss of weight 0 is not computed.
        balance: Scale each region term down wherever its gradient in the vectors it judges is larger than
            that of the global contrastive term in the global vectors.
        temperatures: One learned temperature, the model's (`shared`), or one more for each region term
            (`separate`), which begin at the model's.
        positives: Which phrases are right for which boxes beyond the links.
        local_loss: With several ranks, each takes its own rows against all columns; False lets every rank
            compute the whole loss. Both give the same value and gradients.
        teacher: A frozen model, usually a copy of this one as it was: its global vectors are targets.
        tokenizer: The model's own, for models whose settings do not name it; `harmo.tokenizer` gives it back.

    Raises:
        UnsupportedModelError: No tower adapter knows the model.
        InputError: An option has an unknown value, the teacher is not frozen, or the tokenizer does not pad.

    Example:
        >>> import open_clip
        >>> model = open_clip.create_model("ViT-B-32", pretrained=None)
        >>> with harmonize(model) as harmo:
        ...     harmo.towers.image.kinds
        ('plain', 'value')
    """
    options = Options(
        lexemes=lexemes,
        global_region=global_region,
        weights=weights or {},
        balance=balance,
        temperatures=temperatures,
        positives=positives or Positives(),
        local_loss=local_loss,
        teacher=teacher is not None,
    )
    return Harmonized(model, options, dense=dense, teacher=teacher, tokenizer=tokenizer)


class Harmonized(nn.Module):
    """A CLIP with region alignment attached; made by `harmonize`."""

    def __init__(
        self,
        model: nn.Module,
        options: Options,
        *,
        dense: str | None = None,
        teacher: nn.Module | None = None,
        tokenizer: Tokenizer | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(model, nn.Module):
            raise InputError(
                f"harmonize was given a {type(model).__name__}: expected a CLIP model (an nn.Module). "
                "open_clip.create_model_and_transforms returns the model first, beside its transforms."
            )
        self.model = model
        self.towers: Towers = find_towers(model)
        self.dense = one_of("dense", dense or self.towers.image.default_kind, self.towers.image.kinds)
        if tokenizer is not None:
            self.towers.text.tell_tokenizer(tokenizer)
        self.objective = Objective(options, self.towers.logit_scale, self.towers.logit_bias)
        self.teacher = teacher
        self._teacher: Towers | None = None if teacher is None else find_towers(frozen(teacher))
        self._taps: dict[str, dict[str, Tap]] = {"image": {}, "text": {}}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []
        self.attached = True
        self._attach()

    @property
    def options(self) -> Options:
        """What is judged, and how."""
        return self.objective.options

    @property
    def tokenizer(self) -> Tokenizer:
        """Texts to ids `[B, L]`: the tokenizer that was told, or else that the model's own settings name.

        Raises:
            InputError: There is neither.
        """
        return self.towers.text.tokenizer

    @property
    def weights(self) -> dict[str, Weight]:
        """The factor of each loss in the sum."""
        return self.objective.weights

    def train(self, mode: bool = True) -> Self:
        """Training mode, or not; a teacher stays in evaluation mode."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    # ------------------------------------------------------------------ the objective

    def forward(self, images: Tensor, texts: Tensor, grounding: Grounding) -> dict[str, Tensor]:
        """The whole objective, with one pass of each tower.

        Args:
            images: `[B, 3, H, W]`, as the model's preprocessing gives them.
            texts: `[B, L]` token ids, one caption an image.
            grounding: The regions and phrases of this batch.

        Returns:
            Float32 scalars `loss`, `global_contrastive_loss`, `lexeme_region_loss`, `global_region_loss`:
            means over the samples of all ranks, the same on every rank.

        Raises:
            InputError: There are not as many captions as images.
            GroundingError: The grounding points outside the batch.
        """
        check_batch(images, texts, grounding)
        alone = self._alone(texts, grounding) if self._judges_lexemes() else None
        with self.capture() as captured:
            image_vectors = self.towers.encode_image(images)
            text_vectors = self.towers.encode_text(texts)
        vectors = image_vectors, text_vectors, alone, self._taught(images, texts)
        return self._judge(captured, grounding, *vectors)

    def region_loss(self, captured: Captured, grounding: Grounding) -> Tensor:
        """The weighted lexeme-region and global-region losses of the user's own forward, a scalar.

        Args:
            captured: What `capture()` read during the model's forward.
            grounding: The regions and phrases of the same batch.

        Raises:
            CaptureError: A tower did not run, or ran twice, inside the capture.
            GroundingError: The grounding points outside the batch.
        """
        image, text = captured.of("image"), captured.of("text")
        check_batch(image["images"], text["ids"], grounding)
        vectors = self.towers.image.global_vectors(image), self.towers.text.global_vectors(text)
        alone = self._alone(text["ids"], grounding) if self._judges_lexemes() else None
        return self._judge(captured, grounding, *vectors, alone, region_only=True)["loss"]

    @contextmanager
    def capture(self) -> Iterator[Captured]:
        """Read the towers' tokens while the model runs its own forward, once for each tower.

        Example:
            >>> import open_clip, torch
            >>> model = open_clip.create_model("ViT-B-32", pretrained=None)
            >>> harmo = harmonize(model)
            >>> with harmo.capture() as captured:
            ...     vectors = model.encode_image(torch.randn(1, 3, 224, 224))
            >>> sorted(captured.image)
            ['grid', 'images', 'last', 'penultimate']
        """
        if not self.attached:
            raise CaptureError("this model is no longer harmonized: call harmonize(model) again.")
        captured = Captured()
        for taps in self._taps.values():
            for tap in taps.values():
                tap.wake()
        try:
            yield captured
        finally:
            for tower, taps in self._taps.items():
                for name, tap in taps.items():
                    getattr(captured, tower)[name], repeated = tap.take()
                    if repeated:
                        captured.repeated.add(tower)

    # ------------------------------------------------------------------ vectors

    def encode_regions(
        self, images: Tensor, boxes: Tensor | Sequence[Tensor], image_index: Tensor | None = None
    ) -> Tensor:
        """Vectors of boxes in the joint space, with L2 norm 1, comparable with the model's text vectors.

        Args:
            images: `[B, 3, H, W]`, as the model's preprocessing gives them.
            boxes: One `[R_i, 4]` tensor an image, or `[R, 4]` with `image_index`; xyxy in [0, 1].
            image_index: `[R]` the image of each box, where `boxes` is one tensor.

        Returns:
            `[R, D]` float32, image by image in the order given.

        Raises:
            InputError: The boxes do not go with the images.
            GroundingError: A box is impossible; the message names it.
        """
        boxes, image_index = flat_boxes(boxes, image_index, len(images))
        grounding = Grounding.empty(boxes.device).replace(boxes=boxes, image_index=image_index)
        grounding.check_batch(len(images), 0, 0)
        grounding = grounding.to(images.device)
        with self.capture() as captured:
            self.towers.encode_image(images)
        return l2_normalize(self._regions(captured, grounding))

    def encode_dense(self, images: Tensor) -> Tensor:
        """A vector of the joint space for every patch, `[B, H, W, D]` float32 with L2 norm 1.

        Args:
            images: `[B, 3, H, W]`, as the model's preprocessing gives them.

        Raises:
            InputError: The images have several grids.
        """
        with self.capture() as captured:
            self.towers.encode_image(images)
        dense = self._features(captured)
        vectors = l2_normalize(self.towers.image.project(dense.tokens[:, dense.prefix :]))
        return vectors.unflatten(1, one_grid(dense))

    def encode_phrases(self, texts: Tensor, grounding: Grounding) -> Tensor:
        """Vectors of the grounding's phrases in the joint space, `[P, D]` float32 with L2 norm 1.

        With `lexemes="both"` it is the mean of the two forms.

        Args:
            texts: `[B, L]` token ids of the captions.
            grounding: Whose `spans` and `text_index` name the phrases.

        Raises:
            GroundingError: A span points outside the texts.
        """
        check_texts(texts)
        phrases_only = grounding.replace(
            boxes=grounding.boxes[:0],
            image_index=grounding.image_index[:0],
            links=grounding.links[:0],
            image_id=None,
        )
        phrases_only.check_batch(0, len(texts), texts.shape[1])
        with self.capture() as captured:
            self.towers.encode_text(texts)
        forms = self._phrases(captured, grounding, self._alone(texts, grounding))
        return l2_normalize(torch.stack([l2_normalize(v) for v in forms]).mean(0))

    # ------------------------------------------------------------------ attach and remove

    def remove(self) -> None:
        """Take every tap off the model; a second call does nothing."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.attached = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()

    def __repr__(self) -> str:
        """The options and the modules that are read, not the whole model."""
        names = {module: name for name, module in self.model.named_modules()}
        points = {"image": self.towers.image.taps(self.dense), "text": self.towers.text.taps()}
        lines = [
            f"  {tower} taps: {', '.join(dict.fromkeys(names[p.module] for p in taps.values()))}"
            for tower, taps in points.items()
        ]
        head = (
            f"Harmonized({type(self.model).__name__}, dense={self.dense!r}, "
            f"lexemes={self.options.lexemes!r}, global_region={self.options.global_region!r}, "
            f"weights={self.weights}, attached={self.attached})"
        )
        return "\n".join([head, *lines])

    def _repr_html_(self) -> str:
        taps = dict(line.strip().split(": ", 1) for line in repr(self).splitlines()[1:])
        options = {"lexemes": self.options.lexemes, "global_region": self.options.global_region}
        rows = {"dense": self.dense, **options, "weights": self.weights, **taps, "attached": self.attached}
        return table(f"Harmonized {type(self.model).__name__}", rows)

    def _attach(self) -> None:
        points = {"image": self.towers.image.taps(self.dense), "text": self.towers.text.taps()}
        for tower, taps in points.items():
            for name, point in taps.items():
                tap = Tap(point.read)
                self._taps[tower][name] = tap
                self._handles.append(point.module.register_forward_hook(tap))

    # ------------------------------------------------------------------ parts

    def _judge(
        self,
        captured: Captured,
        grounding: Grounding,
        image: Tensor,
        text: Tensor,
        alone: Tensor | None,
        teacher: tuple[Tensor, Tensor] | None = None,
        region_only: bool = False,
    ) -> dict[str, Tensor]:
        options, towers = self.options, self.towers
        lexemes = crops = None
        if self._judges_lexemes():
            lexemes = torch.stack(self._phrases(captured, grounding, alone))
        if self.weights["global_region"] != 0 and options.global_region == "crops":
            crops = self._crops(captured.of("image")["images"], grounding)
        vectors = Vectors(image, text, self._regions(captured, grounding), lexemes, crops, teacher)
        return self.objective(
            vectors, grounding, towers.logit_scale, towers.logit_bias, region_only=region_only
        )

    @torch.no_grad()
    def _taught(self, images: Tensor, texts: Tensor) -> tuple[Tensor, Tensor] | None:
        """The frozen model's global vectors."""
        teacher = self._teacher
        if teacher is None or self.weights["teacher"] == 0:
            return None
        return teacher.encode_image(images), teacher.encode_text(texts)

    def _regions(self, captured: Captured, grounding: Grounding) -> Tensor:
        return self.towers.image.regions(
            self._features(captured), self.dense, grounding.boxes, grounding.image_index
        )

    def _features(self, captured: Captured) -> Dense:
        tower, taken = self.towers.image, captured.of("image")
        block = tower.taps(self.dense)["last"].module
        return call_gathered(block, tower.dense, taken, self.dense)

    def _judges_lexemes(self) -> bool:
        return self.weights["lexeme_region"] != 0

    def _phrases(self, captured: Captured, grounding: Grounding, alone: Tensor | None) -> list[Tensor]:
        """Vectors `[P, D]` of the phrases, one tensor for each form that is asked for."""
        tower, taken = self.towers.text, captured.of("text")
        forms = [] if alone is None else [alone]
        if self.options.lexemes in ("spans", "both"):
            pooled = span_pool(tower.tokens(taken), grounding.spans, grounding.text_index)
            forms.insert(0, tower.project(pooled))
        return forms

    def _alone(self, ids: Tensor, grounding: Grounding) -> Tensor | None:
        """Vectors `[P, D]` of the phrases as texts of their own.

        A training step runs it before the towers, so its second run, in the backward pass, comes after
        theirs has freed what they kept.
        """
        if self.options.lexemes == "spans":
            return None
        return self.towers.text.encode_phrases(ids, grounding)

    @torch.no_grad()
    def _crops(self, images: Tensor, grounding: Grounding) -> Tensor:
        """Image vectors `[R, D]` of the boxes, each cut out and resized to the model's input."""
        size = tuple(images.shape[-2:])
        pixels = grounding.boxes * grounding.boxes.new_tensor([size[1], size[0], size[1], size[0]])
        rois = torch.cat([grounding.image_index[:, None].to(pixels.dtype), pixels], 1)
        crops = roi_align(images, rois, size, aligned=True).to(images.dtype)
        # without boxes the model still runs once: sharded ranks all have to, and models refuse empty batches
        return self.towers.encode_image(crops if len(crops) else images[:1])[: len(crops)]
