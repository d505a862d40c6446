"""Attach region alignment to a CLIP: `harmonize(model)` gives a `Harmonized`."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from harmoclip import photographs
from harmoclip.capture import Captured, ImageActivations, ImageTaps, TextActivations, TextTaps, TowerTaps
from harmoclip.checks import (
    check_batch,
    check_regions,
    flat_boxes,
    frozen,
    image_batch,
    token_rows,
    warn_of_half_precision,
)
from harmoclip.encoding import Encoding
from harmoclip.errors import CaptureError, InputError
from harmoclip.grounding import Grounding
from harmoclip.losses.terms import Vectors
from harmoclip.losses.weights import Weight
from harmoclip.models import LoadedModel, Preprocess, preprocess_of
from harmoclip.notebook import table
from harmoclip.objective import Objective
from harmoclip.options import Options, one_of, signature_with_options
from harmoclip.tensors import l2_normalize
from harmoclip.tokenizers import Tokenizer
from harmoclip.towers import Towers, find_towers
from harmoclip.towers.base import one_grid


def harmonize(
    model: nn.Module | LoadedModel,
    options: Options | None = None,
    *,
    teacher: nn.Module | bool | None = None,
    tokenizer: Tokenizer | None = None,
    preprocess: Preprocess | None = None,
    **changes: Any,
) -> Harmonized:
    """Attach region alignment to a CLIP, in the manner of HarmoCLIP (arXiv 2511.22594).

    The model stays the user's: same object, same outputs, same `state_dict` keys. Harmonize before
    `torch.compile` or `fully_shard`.

    Args:
        model: Any CLIP of a supported family (see `harmoclip.towers`), or what `load_model` gives, which
            brings its tokenizer and its preprocessing.
        options: What is judged, and how; `harmoclip.Options` describes each. None takes the defaults.
        teacher: A frozen model, usually a copy of this one as it was; True makes that copy. Its global
            vectors are targets of this model's, and with `global_region="crops"` its vectors of the boxes cut
            out are targets of the regions'.
        tokenizer: The model's own, for models whose settings do not name it; `harmo.tokenizer` gives it back.
        preprocess: The model's own, from a PIL image to its input, for models whose settings do not name it.
        **changes: Options by name, such as `lexemes="both"`, in the place of those in `options`.

    Raises:
        UnsupportedModelError: No tower adapter knows the model.
        InputError: An option is unknown or has an unknown value, the teacher is not frozen, or the tokenizer
            does not pad.

    Example:
        >>> import open_clip
        >>> model = open_clip.create_model("ViT-B-32", pretrained=None)
        >>> with harmonize(model, lexemes="both") as harmo:
        ...     harmo.towers.image.kinds
        ('plain', 'value', 'self', 'clear')
    """
    if isinstance(model, LoadedModel):
        tokenizer, preprocess = tokenizer or model.tokenizer, preprocess or model.preprocess
        model = model.model
    chosen = _chosen(options or Options(), teacher, changes)
    if chosen.teacher and not isinstance(teacher, nn.Module):
        teacher = copy.deepcopy(model).requires_grad_(False)
    held_to = teacher if isinstance(teacher, nn.Module) else None
    return Harmonized(model, chosen, teacher=held_to, tokenizer=tokenizer, preprocess=preprocess)


def _chosen(options: Options, teacher: nn.Module | bool | None, changes: Mapping[str, Any]) -> Options:
    """The options with the changes, and whether there is a teacher."""
    with_teacher = options.teacher if teacher is None else teacher is not False
    if not with_teacher and "teacher" in (changes.get("weights") or {}):
        raise InputError("'teacher' has a weight, but there is no teacher: expected harmonize(teacher=...).")
    return options.changed({**changes, "teacher": with_teacher})


harmonize.__signature__ = signature_with_options(harmonize)  # type: ignore[attr-defined]


class Harmonized(nn.Module):
    """A CLIP with region alignment attached; made by `harmonize`."""

    def __init__(
        self,
        model: nn.Module,
        options: Options,
        *,
        teacher: nn.Module | None = None,
        tokenizer: Tokenizer | None = None,
        preprocess: Preprocess | None = None,
    ) -> None:
        super().__init__()
        self._told_preprocess = (preprocess,)  # which is no submodule, even where it is a module
        if not isinstance(model, nn.Module):
            raise InputError(
                f"harmonize was given a {type(model).__name__}: expected a CLIP model (an nn.Module). "
                "open_clip.create_model_and_transforms returns the model first, beside its transforms."
            )
        self.model = model
        self.towers: Towers = find_towers(model)
        kinds = self.towers.image.kinds
        self.dense = one_of("dense", options.dense or self.towers.image.default_kind, kinds)
        if tokenizer is not None:
            self.towers.text.tell_tokenizer(tokenizer)
        self.towers.text.settle_special()
        self.objective = Objective(options, self.towers.logit_scale, self.towers.logit_bias)
        self.teacher = teacher
        teachers = None if teacher is None else find_towers(frozen(teacher))
        self._encode = Encoding(self.towers, teachers, self.dense, options, self.objective.judged)
        self._image_taps = TowerTaps(ImageActivations, self._image_points)
        self._text_taps = TowerTaps(TextActivations, self._text_points)
        self.attached, self._precision_checked = True, False

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
    def preprocess(self) -> Preprocess:
        """A PIL image to the model's input: what was told, or else what the model's own settings say.

        Raises:
            InputError: There is neither.
        """
        (told,) = self._told_preprocess
        return told or preprocess_of(self.model)

    @property
    def weights(self) -> dict[str, Weight]:
        """The factor of each loss in the sum; losses of weight 0 are not computed and not listed."""
        return self.objective.weights

    def train(self, mode: bool = True) -> Self:
        """Training mode, or not; a teacher stays in evaluation mode."""
        super().train(mode)
        if self.teacher is not None:
            self.teacher.eval()
        return self

    # ------------------------------------------------------------------ the objective

    def forward(
        self, images: Tensor, texts: Tensor, grounding: Grounding, crops: Tensor | None = None
    ) -> dict[str, Tensor]:
        """The whole objective, with one pass of the image tower.

        The text tower runs once over the captions and, with `lexemes="phrases"` or `"both"`, once more over
        the distinct phrases, many of them side by side in few rows.

        Args:
            images: `[B, 3, H, W]`, as the model's preprocessing gives them.
            texts: `[T, L]` token ids: the captions of the B images, then texts of their own (`Grounding`).
            grounding: The regions and phrases of this batch.
            crops: `[R, D]` vectors of the boxes cut out, where the caller has them, for
                `global_region="crops"`; computed otherwise.

        Returns:
            Float32 scalars, the same on every rank: `loss`, and the terms that it is the weighted sum of, as
            `global_contrastive_loss`, `lexeme_region_loss`, `global_region_loss`. A contrast needs something
            to compare with: of one linked pair, or of one image, it is 0.

        Raises:
            InputError: There are fewer texts than images, or the images were not preprocessed.
            GroundingError: The grounding points outside the batch, or leaves a text unused.
        """
        images, texts = image_batch(images), token_rows(texts)
        check_batch(images, texts, grounding)
        self.towers.text.check_rows(texts)
        self._check_precision()
        phrase_texts = self._encode.phrase_texts(texts, grounding)
        with self.capture() as captured:
            image = self.towers.encode_image(images)
            text, more_text = self._encode.captions(texts, grounding, len(images))
        teacher_image, teacher_text = self._encode.teacher_vectors(images, texts)
        vectors = Vectors(image, text, more_text, teacher_image=teacher_image, teacher_text=teacher_text)
        return self._compute_losses(captured, grounding, vectors, phrase_texts, crops)

    def region_loss(
        self,
        captured: Captured,
        grounding: Grounding,
        texts: Tensor | None = None,
        crops: Tensor | None = None,
    ) -> Tensor:
        """The weighted sum of the region terms for the user's own forward, a scalar.

        Args:
            captured: What `capture()` read during the model's forward.
            grounding: The regions and phrases of the same batch.
            texts: `[T, L]` all token ids of the batch, where the model's forward was given its first rows,
                the captions, alone; for `lexemes="phrases"`.
            crops: `[R, D]` vectors of the boxes cut out, where the caller has them.

        Raises:
            CaptureError: A tower did not run, or ran twice, inside the capture.
            GroundingError: The grounding points outside the batch.
        """
        image, text = captured.image, captured.text
        seen = text.ids
        ids = seen if texts is None or self.options.lexemes != "phrases" else token_rows(texts)
        check_batch(image.images, ids, grounding)
        texts_seen, more = self.towers.text.global_vectors(text), grounding.more_captions
        further = None if more is None or len(seen) < len(ids) else texts_seen[more.clamp(min=0)]
        vectors = Vectors(self.towers.image.global_vectors(image), texts_seen[: len(image.images)], further)
        phrase_texts = self._encode.phrase_texts(ids, grounding)
        return self._compute_losses(captured, grounding, vectors, phrase_texts, crops, region_only=True)[
            "loss"
        ]

    @contextmanager
    def capture(self) -> Iterator[Captured]:
        """Read the towers' tokens while the model runs its own forward, once for each tower.

        Example:
            >>> import open_clip, torch
            >>> model = open_clip.create_model("ViT-B-32", pretrained=None)
            >>> harmo = harmonize(model)
            >>> with harmo.capture() as captured:
            ...     vectors = model.encode_image(torch.randn(1, 3, 224, 224))
            >>> captured.image.grid, captured.image.last.shape
            ((7, 7), torch.Size([1, 50, 768]))
        """
        if not self.attached:
            raise CaptureError("this model is no longer harmonized: call harmonize(model) again.")
        captured = Captured()
        self._image_taps.wake()
        self._text_taps.wake()
        try:
            yield captured
        finally:
            captured.fill(self._image_taps.take(), self._text_taps.take())

    # ------------------------------------------------------------------ vectors

    def encode_regions(
        self,
        images: Tensor,
        boxes: Tensor | Sequence[Tensor] | Sequence[Sequence[float]],
        image_index: Tensor | None = None,
    ) -> Tensor:
        """Vectors of boxes in the joint space, with L2 norm 1, comparable with the model's text vectors.

        Args:
            images: `[B, 3, H, W]`, as the model's preprocessing gives them, or one image `[3, H, W]`.
            boxes: One `[R_i, 4]` an image, or `[R, 4]` with `image_index`; xyxy in [0, 1]. Tensors, arrays or
                lists, of any type; what rounding moved up to 1e-4 beyond the edge is moved back.
            image_index: `[R]` the image of each box, where `boxes` is one tensor; not needed for one image.

        Returns:
            `[R, D]` float32, image by image in the order given.

        Raises:
            InputError: The boxes do not go with the images, or the images were not preprocessed.
            GroundingError: A box is impossible; the message names it.
        """
        images = image_batch(images)
        flat, image_index = flat_boxes(boxes, image_index, images.shape[0])
        flat = check_regions(flat, image_index, images.shape[0])
        with self.capture() as captured:
            self.towers.encode_image(images)
        where = flat.to(images.device), image_index.to(images.device)
        return l2_normalize(self._encode.regions(captured, *where))

    def encode_dense(self, images: Tensor) -> Tensor:
        """A vector of the joint space for every patch, `[B, H, W, D]` float32 with L2 norm 1.

        Args:
            images: `[B, 3, H, W]`, as the model's preprocessing gives them, or one image `[3, H, W]`.

        Raises:
            InputError: The images have several grids, or were not preprocessed.
        """
        images = image_batch(images)
        with self.capture() as captured:
            self.towers.encode_image(images)
        dense = self._encode.features(captured)
        return self._encode.patches(dense).unflatten(1, one_grid(dense))

    def encode_phrases(self, texts: Tensor, grounding: Grounding) -> Tensor:
        """Vectors of the grounding's phrases in the joint space, `[P, D]` float32 with L2 norm 1.

        With `lexemes="both"` it is the mean of the two forms.

        Args:
            texts: `[T, L]` token ids.
            grounding: Whose `spans` and `text_index` name the phrases.

        Raises:
            GroundingError: A span points outside the texts.
        """
        texts = token_rows(texts)
        phrases_only = grounding.without_regions()
        phrases_only.check_batch(0, len(texts), texts.shape[1])
        self.towers.text.check_rows(texts)
        with self.capture() as captured:
            if self.options.lexemes != "phrases":
                self.towers.encode_text(texts)
        phrase_texts = (
            None if self.options.lexemes == "spans" else self.towers.text.encode_phrases(texts, grounding)
        )
        return l2_normalize(l2_normalize(self._encode.phrases(captured, grounding, phrase_texts)).mean(0))

    # ------------------------------------------------------------------ photographs

    label = photographs.label
    heatmap = photographs.heatmap

    # ------------------------------------------------------------------ attach and remove

    def remove(self) -> None:
        """Take every tap off the model; a second call does nothing."""
        self._image_taps.remove()
        self._text_taps.remove()
        self.attached = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()

    def __repr__(self) -> str:
        """The options and the modules that are read, not the whole model."""
        names = {module: name for name, module in self.model.named_modules()}
        taps = {"image": self._image_taps.modules, "text": self._text_taps.modules}
        lines = [
            f"  {tower} taps: {', '.join(dict.fromkeys(names[module] for module in modules))}"
            for tower, modules in taps.items()
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

    def _check_precision(self) -> None:
        """Look at the weights once, at the first step that learns."""
        if torch.compiler.is_compiling() or self._precision_checked or not torch.is_grad_enabled():
            return
        warn_of_half_precision(self.model)
        self._precision_checked = True

    def _image_points(self) -> ImageTaps | None:
        return self.towers.image.taps(self.dense)

    def _text_points(self) -> TextTaps | None:
        return self.towers.text.taps()

    # ------------------------------------------------------------------ parts

    def _compute_losses(
        self,
        captured: Captured,
        grounding: Grounding,
        vectors: Vectors,
        phrase_texts: Tensor | None,
        crops: Tensor | None = None,
        *,
        region_only: bool = False,
    ) -> dict[str, Tensor]:
        """Add the vectors of boxes and phrases to the global ones, and judge them all."""
        images = captured.image.images
        judged, encode = self.objective.judged, self._encode
        where = grounding.boxes, grounding.image_index
        vectors = replace(
            vectors,
            regions=encode.regions(captured, *where) if "regions" in judged else None,
            phrases=encode.phrases(captured, grounding, phrase_texts) if "phrases" in judged else None,
            crops=encode.crops(images, grounding, crops) if "crops" in judged else None,
        )
        scale, bias = self.towers.logit_scale, self.towers.logit_bias
        return self.objective(vectors, grounding, len(images), scale, bias, region_only=region_only)
