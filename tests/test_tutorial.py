"""The tutorial runs, cell by cell of its notebook: on drawn scenes, and on photographs if there are any."""

import ast
import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from PIL import Image

from harmoclip.data.scenes import Scenes
from tools.notebook import code_cells, notebook

DOCS = Path(__file__).parents[1] / "docs"
SETTINGS = re.compile(r"^DATA, SPLIT = .*\nCAPTIONS = .*\nSTEPS = .*\n", re.M)


def test_the_notebook_is_made_of_the_page():
    page = (DOCS / "tutorial.md").read_text(encoding="utf-8")
    made = (DOCS / "tutorial.ipynb").read_text(encoding="utf-8")
    assert made == notebook(page), "run `python tools/notebook.py`"


def run_cell(code, namespace):
    """What a notebook shows of a cell: the value of its last line, as HTML where it has some."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "tutorial", "exec"), namespace)
    value = None if last is None else eval(compile(ast.Expression(last.value), "tutorial", "eval"), namespace)
    return value._repr_html_() if hasattr(value, "_repr_html_") else value


def run_notebook(folder, monkeypatch, data, split, captions, steps):
    """Run every cell in a folder; the namespace afterwards, and what the cells showed."""
    monkeypatch.chdir(folder)
    text = (DOCS / "tutorial.ipynb").read_text(encoding="utf-8")
    settings = f"DATA, SPLIT = {str(data)!r}, {split!r}\nCAPTIONS = {captions}\nSTEPS = {steps}\n"
    namespace = {"__name__": "tutorial"}
    shown = []
    for number, code in enumerate(code_cells(text)):
        if number == 0:
            code, count = SETTINGS.subn(settings, code + "\n")
            assert count == 1
        shown.append(run_cell(code, namespace))
        plt.close("all")
    return namespace, shown


def coco_of_scenes(folder, count=40):
    """Drawn scenes in COCO's layout."""
    scenes = Scenes("train", count, size=96)
    shapes = sorted({name.split()[-1] for name in scenes.class_names})
    images, captions, boxes = [], [], []
    (folder / "val2017").mkdir(parents=True)
    (folder / "annotations").mkdir()
    for i in range(count):
        sample = scenes[i]
        sample.image.save(folder / "val2017" / f"{i}.png")
        images.append({"id": i, "file_name": f"{i}.png", "width": 96, "height": 96})
        captions += [{"id": 2 * i + k, "image_id": i, "caption": sample.caption} for k in range(2)]
        for (x1, y1, x2, y2), label in zip((sample.boxes * 96).tolist(), sample.labels.tolist(), strict=True):
            shape = shapes.index(scenes.class_names[label].split()[-1])
            box = {"image_id": i, "category_id": shape, "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": 0}
            boxes.append({"id": len(boxes), "area": 1, **box})
    categories = [{"id": i, "name": shape} for i, shape in enumerate(shapes)]
    for name, entries in (("captions", captions), ("instances", boxes)):
        content = {"images": images, "annotations": entries, "categories": categories}
        (folder / "annotations" / f"{name}_val2017.json").write_text(json.dumps(content))


def test_it_runs_on_drawn_scenes(tmp_path, monkeypatch):
    pytest.importorskip("open_clip", "3", reason="open_clip 2 reads no local folder")
    coco_of_scenes(tmp_path / "coco")
    namespace, shown = run_notebook(tmp_path, monkeypatch, "coco", "val2017", 80, 2)
    assert len(namespace["test"]) == 4
    assert len(namespace["training"]) == 72
    assert not {s.key for s in namespace["test"]} & {s.key for s in namespace["training"]}
    assert namespace["losses"]["loss"] > 0
    assert any("change" in str(html) for html in shown)
    for name in ("boxes.png", "heat-before.png", "heat-after.png"):
        with Image.open(tmp_path / "tutorial" / name) as drawn:
            assert min(drawn.size) > 200


@pytest.mark.slow
def test_it_teaches_on_photographs(tmp_path, monkeypatch, data_root):
    namespace, _ = run_notebook(tmp_path, monkeypatch, data_root / "flickr-entities", "train", 10_000, 200)
    before, after = namespace["before"], namespace["after"]
    assert after["box_top1"] > 3 * before["box_top1"]
    assert min(after["i2t_r1"], after["t2i_r1"]) > 0.05
