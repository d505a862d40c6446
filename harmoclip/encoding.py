"""What the towers make of a batch: the vectors that the terms of the objective judge."""

from __future__ import annotations

import torch
from torch import Tensor

from harmoclip.capture import Captured
from harmoclip.crops import crop_boxes
from harmoclip.errors import InputError
from harmoclip.grounding import Grounding
from harmoclip.ops import region_pool, span_pool
from harmoclip.options import Options
from harmoclip.sharding import call_gathered
from harmoclip.tensors import l2_normalize
from harmoclip.towers import Dense, Towers
from harmoclip.towers.base import one_grid


class Encoding:
    """Makes vectors of captions, phrases, regions and crops, each where something judges it.

    Args:
        towers: The model's.
        teacher: The frozen model's, if any.
        dense: The kind of dense image feature.
        options: The options of `harmonize`.
        judged: The names of the vectors that some term judges.
    """

    def __init__(
        self, towers: Towers, teacher: Towers | None, dense: str, options: Options, judged: set[str]
    ) -> None:
        self.towers, self.teacher, self.dense = towers, teacher, dense
        self.options, self.judged = options, judged

    def captions(
        self, texts: Tensor, grounding: Grounding, images: int
    ) -> tuple[Tensor | None, Tensor | None]:
        """Vectors `[B, D]` of the captions and `[B, K, D]` of further ones, by one pass of the text tower.

        Phrases in their context need the tokens of every row; otherwise texts of phrases stay out.
        """
        judged, more = self.judged, grounding.more_captions
        in_context = self.options.lexemes != "phrases" and "phrases" in judged
        if not in_context and "text" not in judged:
            return None, None
        rows = None if more is None else more.clamp(min=0)
        if in_context:
            vectors = self.towers.encode_text(texts)
            return vectors[:images], None if rows is None else vectors[rows]
        if rows is None:
            return self.towers.encode_captions(texts[:images]), None
        vectors = self.towers.encode_captions(torch.cat([texts[:images], texts[rows.flatten()]]))
        return vectors[:images], vectors[images:].unflatten(0, rows.shape)

    @torch.no_grad()
    def teacher_vectors(self, images: Tensor, texts: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """The frozen model's global vectors of images and captions."""
        if self.teacher is None or "teacher_image" not in self.judged:
            return None, None
        return self.teacher.encode_image(images), self.teacher.encode_text(texts[: len(images)])

    def regions(self, captured: Captured, boxes: Tensor, image_index: Tensor) -> Tensor:
        """Vectors `[R, D]` of the boxes."""
        dense = self.features(captured)
        if not self.options.normalize_dense:
            return self.towers.image.regions(dense, self.dense, boxes, image_index)
        return region_pool(self.patches(dense), boxes, image_index, grid=one_grid(dense))

    def patches(self, dense: Dense) -> Tensor:
        """Vectors `[B, H * W, D]` of the patches in the joint space, with L2 norm 1."""
        return l2_normalize(self.towers.image.project(dense.tokens[:, dense.prefix :]))

    def features(self, captured: Captured) -> Dense:
        """The dense image features, before the projection."""
        tower = self.towers.image
        return call_gathered(tower.last_block, tower.dense, captured.image, self.dense)

    def phrases(self, captured: Captured, grounding: Grounding, phrase_texts: Tensor | None) -> Tensor:
        """Vectors `[F, P, D]` of the phrases, in each form that is asked for."""
        tower = self.towers.text
        forms = [] if phrase_texts is None else [phrase_texts]
        if self.options.lexemes != "phrases":
            tokens = tower.tokens(captured.text)
            forms.insert(0, tower.project(span_pool(tokens, grounding.spans, grounding.text_index)))
        return torch.stack(forms)

    def phrase_texts(self, ids: Tensor, grounding: Grounding) -> Tensor | None:
        """Vectors `[P, D]` of the phrases as texts of their own, where a term judges them so.

        A training step runs it before the towers, so its second run, in the backward pass, comes after
        theirs has freed what they kept.
        """
        if self.options.lexemes == "spans" or "phrases" not in self.judged:
            return None
        return self.towers.text.encode_phrases(ids, grounding)

    def crops(self, images: Tensor, grounding: Grounding, given: Tensor | None) -> Tensor:
        """Image vectors `[R, D]` of the boxes cut out, by the teacher where there is one."""
        if given is not None:
            if len(given) != len(grounding.boxes):
                raise InputError(
                    f"there are {len(given)} crops and {len(grounding.boxes)} boxes: expected one a box."
                )
            return given
        live = self.options.global_region == "live_crops"
        towers = self.towers if live or self.teacher is None else self.teacher
        with torch.set_grad_enabled(live and torch.is_grad_enabled()):
            cut = crop_boxes(images, grounding.boxes, grounding.image_index)
            # without boxes the model still runs: sharded ranks all have to, and models refuse empty batches
            return towers.encode_image(cut if len(cut) else images[:1])[: len(cut)]
