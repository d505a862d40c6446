"""Phrase grounding on a sample in the layout of Flickr30k Entities, scored by hand."""

import json

import pytest
import torch
from PIL import Image

from harmoclip.errors import DataError
from harmoclip.evaluate.proposals import read_proposals
from harmoclip.evaluate.registry import tasks_of
from harmoclip.evaluate.task import Request
from tests.helpers.known import ColorEncoder
from tests.helpers.small_world import small_encoder

# pixels count from 1 and both corners belong to the box
CORNERS = "<xmin>{0}</xmin><ymin>{1}</ymin><xmax>{2}</xmax><ymax>{3}</ymax>"
OBJECT = f"<object>{{names}}<bndbox>{CORNERS}</bndbox></object>"


def write_entities(root, sentences, objects, name="36979", split="val"):
    """One image of 100 x 50: red on the left, green in the middle, blue on the right."""
    for folder in ("Annotations", "Sentences", "flickr30k-images"):
        (root / folder).mkdir(exist_ok=True)
    picture = Image.new("RGB", (100, 50), (120, 120, 120))
    for i, color in enumerate([(250, 0, 0), (0, 250, 0), (0, 0, 250)]):
        picture.paste(color, (10 + 30 * i, 10, 30 + 30 * i, 40))
    picture.save(root / "flickr30k-images" / f"{name}.jpg", quality=95)
    (root / "Sentences" / f"{name}.txt").write_text("\n".join(sentences) + "\n")
    boxes = "".join(
        OBJECT.format(*box, names="".join(f"<name>{n}</name>" for n in names)) for names, box in objects
    )
    scene = "<object><name>9</name><scene>1</scene><nobndbox>1</nobndbox></object>"
    size = "<size><width>100</width><height>50</height><depth>3</depth></size>"
    (root / "Annotations" / f"{name}.xml").write_text(f"<annotation>{size}{boxes}{scene}</annotation>")
    with (root / f"{split}.txt").open("a") as file:
        file.write(f"{name}\n")
    return root


RED, GREEN, BLUE = (11, 11, 30, 40), (41, 11, 60, 40), (71, 11, 90, 40)


@pytest.fixture
def root(tmp_path):
    sentences = [
        "[/EN#1/people A red man] sees [/EN#2/other a green thing] in [/EN#9/scene a room] .",
        "[/EN#3/other Two blue things] and [/EN#0/notvisual it] .",
        "[/EN#1/people A blue man] .",  # the model is wrong here
    ]
    return write_entities(tmp_path, sentences, [(["1"], RED), (["2", "3"], GREEN), (["3"], BLUE)])


def entry(x1, y1, x2, y2, image="36979", **more):
    return {"image_id": image, "bbox": [x1, y1, x2 - x1, y2 - y1], "score": 0.5, **more}


def test_given_boxes_and_retrieval(root):
    retrieval, expressions, pointing = tasks_of("flickr-entities", Request(str(root), "val"))
    assert (retrieval.side, expressions.side, pointing.side) == ("whole", "regions", "regions")
    assert expressions.run(ColorEncoder()) == {"referring": 3 / 4, "referring_phrases": 4}
    assert retrieval.run(ColorEncoder())["i2t_r1"] == 1  # one image


def test_recall_among_proposals_by_hand(root, tmp_path):
    proposals = [
        entry(10, 10, 30, 40),  # red, exact
        entry(40, 10, 60, 24),  # green, IoU 14 / 30
        entry(70, 10, 90, 40),  # blue, exact
        entry(38, 8, 92, 42),  # around green and blue
        entry(0, 0, 5, 5, image=77),
    ]
    path = tmp_path / "proposals.json"
    path.write_text(json.dumps(proposals))
    *_, task = tasks_of("flickr-entities", Request(str(root), "val", proposals=path))
    found = task.run(ColorEncoder())
    # "a red man" 1st; "a green thing" no proposal; "two blue things" any: 1st, merged: the last, 2nd by blue;
    # "a blue man" (the red box): red is no nearer than green, so not 1st
    assert found["any_r1"] == 2 / 4
    assert found["any_r5"] == 3 / 4
    assert found["proposal_recall"] == 3 / 4
    assert found["merged_r1"] == 1 / 4
    assert found["merged_r5"] == 3 / 4
    assert found["grounding_phrases"] == 4
    assert found.left_out == ("77: proposals of an image that is not asked",)


def test_an_image_without_proposals_finds_nothing(root, tmp_path):
    write_entities(root, ["[/EN#1/people A red man] ."], [(["1"], RED)], name="5")
    path = tmp_path / "proposals.json"
    path.write_text(json.dumps([entry(10, 10, 30, 40, image=5)]))
    *_, task = tasks_of("flickr-entities", Request(str(root), "val", proposals=path))
    found = task.run(ColorEncoder())
    assert found["any_r1"] == 1 / 5
    assert found.left_out == ("36979: the image has no proposals",)


def test_proposals_of_other_images_are_an_error(root, tmp_path):
    path = tmp_path / "proposals.json"
    path.write_text(json.dumps([entry(10, 10, 30, 40, image="36979.jpg")]))
    *_, task = tasks_of("flickr-entities", Request(str(root), "val", proposals=path))
    with pytest.raises(DataError, match=r"'36979', those of the proposals such as '36979\.jpg'"):
        task.run(ColorEncoder())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", "is no list"),
        ('[{"bbox": [1, 2, 3, 4]}]', "image_id"),
        ('[{"image_id": 1, "bbox": [1, 2, 3]}]', "proposal 0 has the bbox"),
        ('[{"image_id": 1, "bbox": ["a", 2, 3, 4]}]', "proposal 0 has the bbox"),
    ],
)
def test_files_that_are_no_proposals_are_named(tmp_path, content, message):
    path = tmp_path / "proposals.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message):
        read_proposals(path)


def test_real_photographs_with_a_model(data_root, tmp_path):
    root = data_root / "flickr-entities"
    (tmp_path / "few.txt").write_text("\n".join((root / "val.txt").read_text().split()[:3]))
    for name in ("Annotations", "Sentences", "flickr30k-images"):
        (tmp_path / name).symlink_to(root / name)
    tasks = tasks_of("flickr-entities", Request(str(tmp_path), "few"))
    scores = [task.run(small_encoder()) for task in tasks]
    assert scores[0]["captions"] == 15
    assert all(
        0 <= value <= 1 for s in scores for name, value in s.items() if s.metric(name).unit == "fraction"
    )
    assert torch.tensor([s["referring_phrases"] for s in scores[1:2]]).min() > 5
