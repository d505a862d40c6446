import importlib
import subprocess
import sys

import pytest


def loaded_by(statement: str) -> set[str]:
    code = f"import sys; {statement}; print(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_import_is_light():
    heavy = {"spacy", "open_clip", "transformers", "triton", "matplotlib", "torchvision", "timm"}
    assert not heavy & loaded_by("import harmoclip")


def test_the_core_needs_no_spacy_and_no_transformers():
    core = loaded_by("from harmoclip import harmonize, Grounding")
    assert not {"spacy", "open_clip", "transformers", "triton"} & core


def test_the_segmenter_needs_no_torch():
    assert "torch" not in loaded_by("from harmoclip.segment import CaptionSegmenter")


def test_every_public_name_loads():
    import harmoclip

    assert all(getattr(harmoclip, name) is not None for name in harmoclip.__all__)


def test_packages_load_when_they_are_used():
    loaded = loaded_by("import harmoclip; harmoclip.losses, harmoclip.errors")
    assert "harmoclip.losses" in loaded
    assert "harmoclip.data" not in loaded
    assert "harmoclip.data" in loaded_by("import harmoclip; harmoclip.data")


def test_dir_lists_what_is_public():
    import harmoclip

    names = set(dir(harmoclip))
    assert {*harmoclip.__all__, "data", "evaluate", "losses", "ops", "segment", "towers", "train"} <= names
    assert not names & {"importlib", "Any", "TYPE_CHECKING", "annotations"}


PACKAGES = ("data", "draw", "evaluate", "losses", "ops", "segment", "towers", "train")


@pytest.mark.parametrize("package", PACKAGES)
def test_dir_of_a_package_lists_its_public_names_and_nothing_else(package):
    module = importlib.import_module(f"harmoclip.{package}")
    assert dir(module) == sorted(module.__all__)
    assert all(getattr(module, name) is not None for name in dir(module))


@pytest.mark.parametrize("package", ["harmoclip", "harmoclip.data", "harmoclip.train"])
def test_a_name_that_is_nowhere_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'nothing'"):
        importlib.import_module(package).nothing  # noqa: B018
