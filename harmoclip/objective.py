"""The objective: vectors of one step in, weighted losses out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from harmoclip.errors import InputError
from harmoclip.grounding import Grounding
from harmoclip.losses import (
    DistillationLoss,
    GlobalContrastiveLoss,
    GlobalRegionLoss,
    LexemeRegionLoss,
    Positives,
)
from harmoclip.losses.gather import row_counts
from harmoclip.losses.global_contrastive import gathered
from harmoclip.losses.weights import Weight, balance, checked_weights, gradient_norm, weight_at

Lexemes = Literal["spans", "phrases", "both"]
GlobalRegion = Literal["caption", "image", "crops"]
Temperatures = Literal["shared", "separate"]

DEFAULT_WEIGHTS: dict[str, Weight] = {"global_contrastive": 1.0, "lexeme_region": 2.0, "global_region": 0.25}
REGION_TERMS = ("lexeme_region", "global_region")


@dataclass(frozen=True)
class Options:
    """What is judged, and how; `harmonize` describes each option.

    Raises:
        InputError: An option has an unknown value.
    """

    lexemes: Lexemes = "phrases"
    global_region: GlobalRegion = "caption"
    weights: Mapping[str, Weight] = field(default_factory=dict)
    balance: bool = False
    temperatures: Temperatures = "shared"
    positives: Positives = field(default_factory=Positives)
    local_loss: bool = True
    teacher: bool = False

    def __post_init__(self) -> None:
        one_of("lexemes", self.lexemes, ("spans", "phrases", "both"))
        one_of("global_region", self.global_region, ("caption", "image", "crops"))
        one_of("temperatures", self.temperatures, ("shared", "separate"))
        defaults = {**DEFAULT_WEIGHTS, **({"teacher": 1.0} if self.teacher else {})}
        weights = {**defaults, **checked_weights(self.weights, tuple(defaults))}
        if self.balance and not weights["global_contrastive"]:
            raise InputError("balance=True holds the region terms to the global one, whose weight is 0.")
        object.__setattr__(self, "weights", weights)


class Vectors(NamedTuple):
    """What the towers made of one batch, on this rank."""

    image: Tensor  # [B, D] global vectors
    text: Tensor  # [B, D]
    regions: Tensor  # [R, D]
    lexemes: Tensor | None = None  # [F, P, D], the phrases in each of their forms
    crops: Tensor | None = None  # [R, D] image vectors of the boxes cut out
    teacher: tuple[Tensor, Tensor] | None = None  # [B, D] image and text vectors of the frozen model


class Objective(nn.Module):
    """The weighted sum of the losses, with the temperatures and the schedule that belong to it."""

    def __init__(self, options: Options, log_scale: Tensor, bias: Tensor | None) -> None:
        super().__init__()
        self.options = options
        self.weights = dict(options.weights)
        self.global_contrastive = GlobalContrastiveLoss(local_loss=options.local_loss)
        self.lexeme_region = LexemeRegionLoss(options.positives, local_loss=options.local_loss)
        self.region_mean = GlobalRegionLoss(local_loss=options.local_loss)
        self.distillation = DistillationLoss()
        self.log_scales, self.biases = nn.ParameterDict(), nn.ParameterDict()
        if options.temperatures == "separate":
            for name in REGION_TERMS:
                self.log_scales[name] = nn.Parameter(log_scale.detach().clone().reshape(1))
                if bias is not None:
                    self.biases[name] = nn.Parameter(bias.detach().clone().reshape(1))
        if any(not isinstance(weight, (int, float)) for weight in self.weights.values()):
            self.step: Tensor
            self.register_buffer("step", torch.zeros((), dtype=torch.int64, device=log_scale.device))

    def forward(
        self,
        vectors: Vectors,
        grounding: Grounding,
        log_scale: Tensor,
        bias: Tensor | None,
        *,
        region_only: bool = False,
    ) -> dict[str, Tensor]:
        """The weighted sum `loss` over all ranks, and each term of it as `<name>_loss`.

        Args:
            vectors: What the towers gave.
            grounding: The regions and phrases of the batch.
            log_scale: The model's learned log temperature.
            bias: The model's learned bias, where it has one.
            region_only: Leave the terms on the global vectors alone out of the sum.
        """
        parts = self._terms(vectors, grounding, log_scale, bias, region_only)
        factors = {name: weight_at(self.weights[name], getattr(self, "step", log_scale)) for name in parts}
        if self.options.balance and torch.is_grad_enabled():
            limit = gradient_norm(parts["global_contrastive"], (vectors.image, vectors.text))
            for name in (name for name in REGION_TERMS if name in parts):  # the same order on every rank
                factors[name] *= balance(gradient_norm(parts[name], self._seen(name, vectors)), limit)
        if self.training and hasattr(self, "step"):
            self.step += 1
        summed = REGION_TERMS if region_only else tuple(parts)
        weighted = [factors[name] * part for name, part in parts.items() if name in summed]
        loss = torch.stack(weighted).sum() if weighted else vectors.regions.sum().float() * 0.0
        return {"loss": loss, **{f"{name}_loss": part for name, part in parts.items()}}

    def _terms(
        self, v: Vectors, grounding: Grounding, log_scale: Tensor, bias: Tensor | None, region_only: bool
    ) -> dict[str, Tensor]:
        wanted = {name for name, weight in self.weights.items() if weight != 0}
        if region_only:
            wanted -= {"teacher"} if self.options.balance else {"teacher", "global_contrastive"}
        images, regions, links = row_counts(
            len(v.image), len(v.regions), len(grounding.links), device=v.image.device
        )
        both = "global_contrastive" in wanted
        target = self.options.global_region if "global_region" in wanted else None
        image = gathered(v.image, images) if both or target == "image" else None
        text = gathered(v.text, images) if both or target == "caption" else None
        parts = {}
        if image is not None and text is not None and both:
            parts["global_contrastive"] = self.global_contrastive(image, text, log_scale, bias)
        if "lexeme_region" in wanted:
            parts["lexeme_region"] = self.lexeme_region(
                v.regions, v.lexemes, grounding.links, grounding.phrase_id, grounding.image_index,
                *self._temperature("lexeme_region", log_scale, bias), boxes=grounding.boxes, counts=links,
            )  # fmt: skip
        if target == "crops":
            parts["global_region"] = self.distillation(v.regions, v.crops, regions)
        elif target is not None:
            parts["global_region"] = self.region_mean(
                v.regions, grounding.image_index, text if target == "caption" else image,
                *self._temperature("global_region", log_scale, bias),
            )  # fmt: skip
        if "teacher" in wanted and v.teacher is not None:
            pairs = zip((v.image, v.text), v.teacher, strict=True)
            parts["teacher"] = torch.stack([self.distillation(x, y, images) for x, y in pairs]).mean()
        return parts

    def _temperature(self, name: str, log_scale: Tensor, bias: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if name not in self.log_scales:
            return log_scale, bias
        return self.log_scales[name], self.biases.get(name)

    def _seen(self, name: str, v: Vectors) -> Sequence[Tensor]:
        """The vectors that a region term judges."""
        if name == "lexeme_region":
            return [v.regions] if v.lexemes is None else [v.regions, v.lexemes]
        return [v.regions, v.text if self.options.global_region == "caption" else v.image]


def one_of(name: str, value: str, known: Sequence[str]) -> str:
    """The value, or an InputError that lists what is known."""
    if value not in known:
        raise InputError(f"{name}={value!r} is unknown: expected one of {', '.join(map(repr, known))}.")
    return value
