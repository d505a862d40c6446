"""What every test shares: seeds, NaN in fresh memory, small models, the optional real data."""

import inspect
import os
from functools import partialmethod
from pathlib import Path

import click.testing
import pytest
import torch
from hypothesis import settings

from harmoclip import Grounding
from tests.helpers.tiny_clips import random_boxes, random_texts, small_config
from tests.helpers.warning_policy import ours_are_errors

if "mix_stderr" in inspect.signature(click.testing.CliRunner).parameters:  # click before 8.2
    click.testing.CliRunner.__init__ = partialmethod(click.testing.CliRunner.__init__, mix_stderr=False)

settings.register_profile("harmoclip", derandomize=True, deadline=None, max_examples=50)
settings.load_profile("harmoclip")


def pytest_addoption(parser):
    parser.addoption("--require-gpu", action="store_true", help="fail where a GPU test would be skipped")


def pytest_collection_modifyitems(config, items):
    if torch.cuda.is_available() or config.getoption("--require-gpu"):
        return
    for item in items:
        if "gpu" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol():
    with ours_are_errors():
        return (yield)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.fixture
def data_root() -> Path:
    """The folder of real images and captions."""
    root = os.environ.get("HARMOCLIP_DATA")
    if not root:
        pytest.skip("HARMOCLIP_DATA is not set: no real images and captions here")
    return Path(root)


@pytest.fixture(params=["CLIP", "CustomTextCLIP"])
def clip(request):
    """A small open_clip model with random weights, in both of its holders."""
    import open_clip.model

    return getattr(open_clip.model, request.param)(**small_config())


@pytest.fixture
def batch():
    """Four images and captions: the first without boxes, the last without phrases."""
    grounding = Grounding(
        boxes=random_boxes(6),
        image_index=torch.tensor([1, 1, 2, 2, 2, 3]),
        spans=torch.tensor([[1, 3], [2, 6], [1, 4], [5, 9], [7, 8]]),
        text_index=torch.tensor([0, 1, 1, 2, 2]),
        links=torch.tensor([[0, 1], [1, 2], [2, 3], [3, 4], [4, 4]]),
        phrase_id=torch.tensor([5, 6, 7, 6, 8]),
    )
    texts = random_texts(4)
    texts[2, 5:9] = texts[1, 2:6]  # phrases 1 and 3 are the same words
    return torch.randn(4, 3, 32, 32), texts, grounding
