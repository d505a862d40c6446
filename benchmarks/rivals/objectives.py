"""The objectives that are compared, each written from its published formula.

All share the model, its taps, the pooling operator and the data; they differ in what is asked of the
vectors. `f` is an image's global vector, `t` its caption's, `r` a region's (pooled dense features), `p` its
phrase's text vector, `c` its crop's global vector, all normalised.
"""

from __future__ import annotations

import copy
import hashlib
import json
from dataclasses import asdict
from random import Random
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harmoclip.capture import Captured
from harmoclip.grounding import Grounding
from harmoclip.harmonized import harmonize
from harmoclip.losses import GlobalContrastiveLoss, LexemeRegionLoss, Positives
from harmoclip.losses.contrastive import temperature
from harmoclip.ops import region_pool, span_pool
from harmoclip.options import Options
from harmoclip.segment import phrase_id
from harmoclip.tensors import l2_normalize
from harmoclip.tokenizers import Tokenizer

NEGATIVES = 10
"""Altered phrases that stand beside a phrase."""


class Batch(Protocol):
    """What any objective needs of one step's images."""

    @property
    def images(self) -> Tensor:
        """`[B, ...]`, as the model takes them."""

    @property
    def texts(self) -> Tensor:
        """`[B, L]` ids of the captions."""

    @property
    def grounding(self) -> Grounding:
        """Their boxes, phrases and links."""

    @property
    def phrase_ids(self) -> Tensor:
        """`[P, T]` ids of each phrase as a text of its own."""

    @property
    def phrase_texts(self) -> list[str]:
        """The phrases."""

    def crops(self, regions: Tensor | None = None) -> Tensor:
        """The boxes, or those of these rows, cut out as the model takes them."""

    def altered(self, phrase: int, rng: Random) -> list[str]:
        """Hard negatives of a phrase: `NEGATIVES` texts, or none."""


class Objective(nn.Module):
    """A harmonized model and a loss; subclasses say which towers train and which dense kind they use."""

    dense: str | None = None
    trains_text = True
    average = 1.0  # share of the trained weights in the result, the rest is the start's

    def __init__(self, model: Any, tokenizer: Tokenizer, **options: Any) -> None:
        super().__init__()
        self.harmo = harmonize(model, **{"dense": self.dense, **options})
        self.tokenizer = tokenizer
        self.rng = Random(0)
        self.contrast = GlobalContrastiveLoss()
        if not self.trains_text:
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(name.startswith("visual."))

    @property
    def model(self) -> Any:
        """The CLIP that is trained."""
        return self.harmo.model

    def captions(self, f: Tensor, batch: Batch) -> Tensor:
        """InfoNCE of images and captions."""
        return self.contrast(f, self.model.encode_text(batch.texts), self.model.logit_scale)

    def capture(self, images: Tensor) -> tuple[Captured, Tensor]:
        """One image pass: what the taps read, and the global vectors."""
        with self.harmo.capture() as captured:
            f = self.model.encode_image(images)
        return captured, f

    def regions(self, captured: Captured, batch: Batch, *, unit_tokens: bool) -> Tensor:
        """Mean over each box of the dense vectors in the joint space, normalised before where asked for."""
        tower = self.harmo.towers.image
        dense = tower.dense(captured.image, self.harmo.dense)
        tokens = tower.project(dense.tokens[:, dense.prefix :])
        tokens = l2_normalize(tokens) if unit_tokens else tokens
        return region_pool(tokens, batch.grounding.boxes, batch.grounding.image_index, grid=dense.grid)


def distance(one: Tensor, other: Tensor) -> Tensor:
    """Mean of 1 - cos."""
    return (1 - (l2_normalize(one) * l2_normalize(other)).sum(-1)).mean()


class Captions(Objective):
    """InfoNCE(f, t): CLIP (arXiv 2103.00020)."""

    def forward(self, batch: Batch) -> Tensor:
        """The loss of a batch."""
        return self.captions(self.model.encode_image(batch.images), batch)


class RegionPhrase(Objective):
    """InfoNCE(r, p), equal phrases positive, text tower frozen: RegionCLIP's kind (arXiv 2112.09106)."""

    trains_text = False

    def forward(self, batch: Batch) -> Tensor:
        """The loss of a batch."""
        captured, _ = self.capture(batch.images)
        r, g = self.regions(captured, batch, unit_tokens=False), batch.grounding
        with torch.no_grad():
            p = self.model.encode_text(batch.phrase_ids)
        contrast = LexemeRegionLoss(Positives(same_box=0.0, overlap=None), distinct_phrases=False)
        loss: Tensor = contrast(r, p, g.links, g.phrase_id, g.image_index, self.model.logit_scale)
        return loss


class CropTeacher(Objective):
    """mean(1 - cos(r, c)), c by the frozen start: CLIPSelf's kind (arXiv 2310.01403).

    The text tower is frozen, and the result is 0.7 of the trained weights and 0.3 of the start's.
    """

    trains_text = False
    average = 0.7

    def __init__(self, model: Any, tokenizer: Tokenizer) -> None:
        teacher = copy.deepcopy(model.visual).requires_grad_(False)
        super().__init__(model, tokenizer)
        self.teacher = teacher.eval()

    def forward(self, batch: Batch) -> Tensor:
        """The loss of a batch."""
        captured, _ = self.capture(batch.images)
        with torch.no_grad():
            c = self.teacher(batch.crops())
        return distance(self.regions(captured, batch, unit_tokens=True), c)


class LiveCrops(Objective):
    """InfoNCE(f, t) + InfoNCE(r, p) + mean(1 - cos(r, c)), c live: FineCLIP's kind (NeurIPS 2024).

    As published, one scale for both contrasts, gradients through the crops, a second image pass for the
    dense features, and each region's text encoded as a text of its own; equal texts are negatives.
    """

    def forward(self, batch: Batch) -> Tensor:
        """The loss of a batch."""
        loss = self.captions(self.model.encode_image(batch.images), batch)
        captured, _ = self.capture(batch.images)
        r = self.regions(captured, batch, unit_tokens=True)
        region, phrase = batch.grounding.links.unbind(1)
        p = self.model.encode_text(batch.phrase_ids[phrase])
        loss = loss + self.contrast(r[region], p, self.model.logit_scale)
        return loss + distance(r, self.model.encode_image(batch.crops()))


class HardNegatives(Objective):
    """InfoNCE(f, t) + 0.1 InfoNCE(r, p) + 0.5 CE(r; p, ten altered p): FG-CLIP's kind (arXiv 2505.05071).

    Each term has a scale of its own. The altered phrases exchange color and shape; each different text is
    encoded once, in short rows.
    """

    def __init__(self, model: Any, tokenizer: Tokenizer) -> None:
        super().__init__(model, tokenizer)
        self.region_scale = nn.Parameter(model.logit_scale.detach().clone())
        self.hard_scale = nn.Parameter(model.logit_scale.detach().clone())

    def forward(self, batch: Batch) -> Tensor:
        """The loss of a batch."""
        captured, f = self.capture(batch.images)
        r = self.regions(captured, batch, unit_tokens=False)
        region, phrase = batch.grounding.links.unbind(1)
        p = self.model.encode_text(batch.phrase_ids)
        loss = self.captions(f, batch) + 0.1 * self.contrast(r[region], p[phrase], self.region_scale)
        return loss + 0.5 * self.hard(r, p, batch)

    def hard(self, r: Tensor, p: Tensor, batch: Batch) -> Tensor:
        """Cross entropy of each linked region over its phrase and the altered phrases."""
        altered = [batch.altered(phrase, self.rng) for phrase in range(len(batch.phrase_texts))]
        if not any(altered):
            return r.sum() * 0.0
        links = [(region, phrase) for region, phrase in batch.grounding.links.tolist() if altered[phrase]]
        region, phrase = torch.tensor(links, device=r.device).unbind(1)
        texts = [text for _, i in links for text in altered[i]]
        distinct = {text: i for i, text in enumerate(dict.fromkeys(texts))}
        vectors = l2_normalize(self.encode_short(self.tokenizer(list(distinct)).to(r.device)))
        negative = vectors[[distinct[text] for text in texts]].unflatten(0, (-1, NEGATIVES))
        choices = torch.cat([l2_normalize(p[phrase])[:, None], negative], 1)
        logits = temperature(self.hard_scale) * torch.einsum("rd,rkd->rk", l2_normalize(r[region]), choices)
        return F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.int64))

    def encode_short(self, ids: Tensor) -> Tensor:
        """Texts encoded in as many positions as the longest of them needs."""
        return self.harmo.towers.text.encode(ids[:, : int((ids != 0).sum(1).max())])


class TokenSpans(Objective):
    """InfoNCE(f, t) + InfoNCE(c, p) / 2 + (1 - cos(r, c))^2 + (1 - cos(s, p))^2: GOAL's kind (2503.17782).

    One linked region an image; s is the mean of the caption's own tokens over the phrase, and the dense
    features are the plain tokens.
    """

    dense = "plain"

    def forward(self, batch: Batch) -> Tensor:
        """The loss of a batch."""
        g, tower = batch.grounding, self.harmo.towers.text
        with self.harmo.capture() as captured:
            f, t = self.model.encode_image(batch.images), self.model.encode_text(batch.texts)
        region, phrase = self.one_link_an_image(batch)
        c = self.model.encode_image(batch.crops(region))
        p = self.model.encode_text(batch.phrase_ids[phrase])
        s = tower.project(span_pool(tower.tokens(captured.text), g.spans[phrase], g.text_index[phrase]))
        r = self.regions(captured, batch, unit_tokens=False)[region]
        scale = self.model.logit_scale
        loss = self.contrast(f, t, scale) + 0.5 * self.contrast(c, p, scale)
        return loss + squared(r, c) + squared(s, p)

    def one_link_an_image(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """A random link of each image: regions and phrases."""
        g = batch.grounding
        order = torch.randperm(len(g.links), device=g.links.device)
        owner = g.image_index[g.links[order, 0]]
        chosen = order.new_full((len(batch.images),), -1).scatter(0, owner, order)
        region, phrase = g.links[chosen[chosen >= 0]].unbind(1)
        return region, phrase


def squared(one: Tensor, other: Tensor) -> Tensor:
    """Mean of (cos - 1)^2."""
    return ((l2_normalize(one) * l2_normalize(other)).sum(-1) - 1).square().mean()


def wording(ids: Tensor) -> Tensor:
    """`[N]` int64, equal for texts `[N, L]` of the same tokens."""
    return ids.new_tensor([hash(tuple(text[text != 0].tolist())) for text in ids])


class Ours(Objective):
    """The library's own objective with its defaults, or with the options of an ablation.

    With `negatives` every phrase that can be altered has so many altered ones, wrong for its regions.
    """

    def __init__(
        self, model: Any, tokenizer: Tokenizer, *, masking: bool = True, negatives: int = 0, **options: Any
    ) -> None:
        super().__init__(model, tokenizer, **options)
        self.masking, self.negatives = masking, negatives

    def forward(self, batch: Batch) -> Tensor:
        """The loss of a batch."""
        texts, g = self.texts(batch)
        if not self.masking:
            g = g.replace(phrase_id=torch.arange(len(g.phrase_id), device=g.phrase_id.device))
        if self.negatives:
            texts, g = self.with_negatives(batch, g)
        loss: Tensor = self.harmo(batch.images, texts, g)["loss"]
        return loss

    def texts(self, batch: Batch) -> tuple[Tensor, Grounding]:
        """The captions, and the phrases and boxes of a batch."""
        return batch.texts, batch.grounding

    def with_negatives(self, batch: Batch, g: Grounding) -> tuple[Tensor, Grounding]:
        """The texts and the grounding with altered phrases, each a further text."""
        altered = [batch.altered(i, self.rng)[: self.negatives] for i in range(len(batch.phrase_texts))]
        links = g.links.tolist()
        right = {(region, phrase_id(batch.phrase_texts[phrase])) for region, phrase in links}
        pairs = [
            (region, text)
            for region, phrase in links
            for text in altered[phrase]
            if (region, phrase_id(text)) not in right
        ]
        if not pairs:
            return batch.texts, g
        row = {text: i for i, text in enumerate(dict.fromkeys(text for _, text in pairs))}
        ids = self.tokenizer(list(row)).to(batch.texts.device)
        length = (ids != 0).sum(1)
        return torch.cat([batch.texts, ids]), g.replace(
            spans=torch.cat([g.spans, torch.stack([torch.ones_like(length), length - 1], 1)]),
            text_index=torch.cat([g.text_index, g.text_index.new_tensor(range(len(row))) + len(batch.texts)]),
            phrase_id=torch.cat([g.phrase_id, g.phrase_id.new_tensor([phrase_id(text) for text in row])]),
            wording=None if g.wording is None else torch.cat([g.wording, wording(ids)]),
            negatives=g.links.new_tensor([(region, len(g.spans) + row[text]) for region, text in pairs]),
        )


RIVALS: dict[str, type[Objective]] = {
    "captions": Captions,
    "regionclip_kind": RegionPhrase,
    "clipself_kind": CropTeacher,
    "fineclip_kind": LiveCrops,
    "fgclip_kind": HardNegatives,
    "goal_kind": TokenSpans,
    "harmoclip": Ours,
}


BESIDE = ("masking", "negatives", "captions", "phrases_of")
"""What a variant says to the benchmark, and not to the library."""

# one change each to the defaults
ABLATION: dict[str, dict[str, Any]] = {
    "defaults": {},
    "no GC": {"weights": {"global_contrastive": 0.0}},
    "no LRC": {"weights": {"lexeme_region": 0.0}},
    "no GR": {"weights": {"global_region": 0.0}},
    "GR 0.5": {"weights": {"global_region": 0.5}},
    "LRC 2": {"weights": {"lexeme_region": 2.0}},
    "lexemes spans": {"lexemes": "spans"},
    "lexemes both": {"lexemes": "both"},
    "GR image": {"global_region": "image"},
    "GR crops": {"global_region": "crops"},
    "dense plain": {"dense": "plain"},
    "no masking": {"masking": False},
    "balance": {"balance": True},
    "phrases as often as linked": {"distinct_phrases": False},
    "hard negatives": {"weights": {"hard_negative": 0.25}, "negatives": 3},
    "synonyms left out": {"positives": Positives(synonyms=0.6)},
}


def identity(name: str, variants: dict[str, dict[str, Any]] = ABLATION) -> str:
    """A name for files: the same for options that come to the same, whatever the defaults are."""
    if name in RIVALS and name != "harmoclip":
        return name
    own = {"masking": True, **variants.get(name, {})}
    beside = {key: own.pop(key) for key in BESIDE if key in own}
    text = json.dumps({**asdict(Options().changed(own)), **beside}, sort_keys=True)
    return f"ours-{hashlib.sha1(text.encode()).hexdigest()[:12]}"


def build(
    name: str,
    model: Any,
    tokenizer: Tokenizer,
    variants: dict[str, dict[str, Any]] = ABLATION,
    ours: type[Ours] = Ours,
) -> Objective:
    """The objective of a rival, or ours with the options of a variant, on this model."""
    if name in RIVALS:
        return RIVALS[name](model, tokenizer)
    return ours(model, tokenizer, **variants[name])
