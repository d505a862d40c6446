"""The recipe for a new loss: a file with its term, a line that lists it, and a test. Files touched: three."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch

import harmoclip
from harmoclip import Grounding, options
from harmoclip.errors import InputError
from harmoclip.losses import Step, Term
from harmoclip.losses.gather import mean_over_ranks
from harmoclip.tensors import l2_normalize


# harmoclip/losses/spread.py: the file of the new loss
@dataclass(frozen=True)
class SpreadTerm(Term):
    """Mean cosine of each region with the vector of its own image: regions are held away from it."""

    local_loss: bool  # a field takes the option of its name

    name: ClassVar[str] = "spread"
    weight: ClassVar[float] = 0.0
    judges: ClassVar[tuple[str, ...]] = ("regions", "image")
    has_scale: ClassVar[bool] = False

    def __call__(
        self, step: Step, logit_scale: torch.Tensor, logit_bias: torch.Tensor | None
    ) -> torch.Tensor:
        """The loss of a batch."""
        image = l2_normalize(step.vectors["image"])[step.grounding.image_index]
        cosine = (l2_normalize(step.vectors["regions"]) * image).sum(-1)
        return mean_over_ranks(cosine.sum(), sum(step.counts.regions))


@pytest.fixture
def listed(monkeypatch):
    """harmoclip/options.py: the line that lists it."""
    monkeypatch.setattr(options, "TERMS", (*options.TERMS, SpreadTerm))


# tests/losses/test_spread.py: its test
def test_the_new_term_is_an_option_like_the_others(clip, batch, listed):
    images, texts, grounding = batch
    harmo = harmoclip.harmonize(clip, weights={"spread": 0.5, "global_region": 0}, balance=True)
    losses = harmo(images, texts, grounding)
    regions = harmo.encode_regions(images, grounding.boxes, grounding.image_index)
    image = clip.encode_image(images, normalize=True)[grounding.image_index]
    torch.testing.assert_close(losses["spread_loss"], (regions * image).sum(1).mean())
    losses["loss"].backward()
    assert harmo.weights["spread"] == 0.5
    empty = harmo(images, texts, Grounding.empty())["spread_loss"]
    assert empty == 0
    assert empty.requires_grad


def test_it_is_off_unless_it_is_given_a_weight(clip, batch, listed):
    assert "spread_loss" not in harmoclip.harmonize(clip)(*batch)


def test_only_what_a_term_names_is_made(clip, batch, listed):
    weights = dict.fromkeys(options.default_weights(), 0) | {"spread": 1}
    del weights["teacher"]
    calls = []
    clip.encode_text = lambda *args, **kwargs: calls.append(args)
    harmo = harmoclip.harmonize(clip, weights=weights)
    harmo(*batch)["loss"].backward()
    assert not calls


def test_without_the_line_it_is_unknown(clip):
    with pytest.raises(InputError, match="'spread' is unknown"):
        harmoclip.harmonize(clip, weights={"spread": 1.0})
