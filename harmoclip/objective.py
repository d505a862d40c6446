"""The objective: vectors of one step in, weighted losses out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from harmoclip.grounding import Grounding
from harmoclip.losses.global_contrastive import GlobalContrastiveTerm
from harmoclip.losses.terms import Step, Term, Vectors
from harmoclip.losses.weights import balance, gradient_norm, weight_at
from harmoclip.options import Options


class Objective(nn.Module):
    """The weighted sum of the terms, with the temperatures and the schedule that belong to it."""

    def __init__(self, options: Options, logit_scale: Tensor, logit_bias: Tensor | None) -> None:
        super().__init__()
        self.options = options
        self.terms = options.terms()
        self.weights = {term.name: options.weights[term.name] for term in self.terms}
        self.judged = {name for term in self.terms for name in term.judges}
        self.logit_scales, self.logit_biases = nn.ParameterDict(), nn.ParameterDict()
        if options.temperatures == "separate":
            for term in (t for t in self.terms if t.of_regions and t.has_scale):
                self.logit_scales[term.name] = nn.Parameter(logit_scale.detach().clone().reshape(1))
                if logit_bias is not None and term.has_bias:
                    self.logit_biases[term.name] = nn.Parameter(logit_bias.detach().clone().reshape(1))
        if any(not isinstance(weight, (int, float)) for weight in self.weights.values()):
            self.step: Tensor
            self.register_buffer("step", torch.zeros((), dtype=torch.int64, device=logit_scale.device))

    def forward(
        self,
        vectors: Vectors,
        grounding: Grounding,
        images: int,
        logit_scale: Tensor,
        logit_bias: Tensor | None,
        *,
        region_only: bool = False,
    ) -> dict[str, Tensor]:
        """The weighted sum `loss` over all ranks, and each term of it as `<name>_loss`.

        Args:
            vectors: What the towers gave.
            grounding: The regions and phrases of the batch.
            images: How many images this rank has.
            logit_scale: The model's learned log of the factor on cosines.
            logit_bias: The model's learned bias, where it has one.
            region_only: Leave the terms on the global vectors alone out of the sum.
        """
        step = Step(vectors, grounding, images)
        terms = self._wanted(region_only)
        losses = {t.name: t(step, *self._temperature(t.name, logit_scale, logit_bias)) for t in terms}
        factors = {t.name: weight_at(self.weights[t.name], getattr(self, "step", logit_scale)) for t in terms}
        if self.options.balance and torch.is_grad_enabled():
            limit = gradient_norm(
                losses["global_contrastive"], _learning(vectors, GlobalContrastiveTerm.judges)
            )
            for term in (t for t in terms if t.of_regions):  # the same order on every rank
                norm = gradient_norm(losses[term.name], _learning(vectors, term.judges))
                factors[term.name] *= balance(norm, limit)
        if self.training:
            self._after_training_step(step, logit_bias)
        summed = [factors[t.name] * losses[t.name] for t in terms if t.of_regions or not region_only]
        total = torch.stack(summed).sum() if summed else logit_scale.sum().float() * 0.0
        return {"loss": total, **{f"{name}_loss": loss for name, loss in losses.items()}}

    def _wanted(self, region_only: bool) -> list[Term]:
        """The terms to compute; balance needs the global one even where it is not in the sum."""
        kept = ("global_contrastive",) if self.options.balance else ()
        return [t for t in self.terms if t.of_regions or not region_only or t.name in kept]

    def _temperature(
        self, name: str, logit_scale: Tensor, logit_bias: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        if name not in self.logit_scales:
            return logit_scale, logit_bias
        return self.logit_scales[name], self.logit_biases.get(name)

    def _after_training_step(self, step: Step, logit_bias: Tensor | None) -> None:
        if hasattr(self, "step"):
            self.step += 1
        alone = sum(step.counts.images) == 1 and logit_bias is None and "global_contrastive" in self.weights
        if alone and not torch.compiler.is_compiling():
            warnings.warn(
                "the batch is one image over all ranks: the global contrastive loss has nothing to compare "
                "it with and is 0. Train with larger batches; accumulated ones are not compared.",
                stacklevel=2,
            )


def _learning(vectors: Vectors, names: Sequence[str]) -> list[Tensor]:
    """The vectors of these names that there are and that need a gradient."""
    given = (getattr(vectors, name) for name in names)
    return [x for x in given if x is not None and x.requires_grad]
