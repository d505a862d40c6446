"""The fixtures of small runs, a pytest plugin."""

import pytest

from harmoclip.train import load_config
from tests.helpers.tiny_clips import write_open_clip


@pytest.fixture(scope="session")
def tiny_clip(tmp_path_factory):
    return write_open_clip(tmp_path_factory.mktemp("tiny-clip"))


@pytest.fixture
def options(tiny_clip):
    """A run over in seconds; give it an `out`."""
    return [
        f"model.name={tiny_clip}",
        "data.format=scenes",
        "data.size=40",
        "data.batch_size=6",
        "steps=12",
        "log_every=4",
        "optimizer.learning_rate=1e-3",
        "optimizer.warmup=3",
        "checkpoint.every=5",
        "checkpoint.keep=2",
    ]


@pytest.fixture
def config(options):
    def make(out, *more):
        return load_config(None, [*options, f"out={out}", *more])

    return make
