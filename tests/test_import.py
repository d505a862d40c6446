import subprocess
import sys


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
