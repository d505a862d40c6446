import json
import os
import pickle

import pytest
import torch
from PIL import Image

from harmoclip.data.formats.refcoco import RefCoco
from harmoclip.errors import DataError

NAME = "COCO_train2014_000000000072.jpg"


def ref(ann_id, split, *sentences):
    return {
        "sent_ids": list(range(len(sentences))),
        "file_name": f"{NAME[:-4]}_{ann_id}.jpg",  # the published name has the annotation's number in it
        "ann_id": ann_id,
        "ref_id": ann_id,
        "image_id": 72,
        "split": split,
        "sentences": [{"tokens": s.split(), "raw": s.upper(), "sent_id": 0, "sent": s} for s in sentences],
        "category_id": 25,
    }


@pytest.fixture
def folder(tmp_path):
    refs = [ref(9, "testA", "tall giraffe", "giraffe on the left "), ref(7, "train", "small one", " ")]
    boxes = {7: [0.0, 10.0, 20.0, 30.0], 9: [50.5, 0.0, 49.5, 40.0], 8: [1.0, 1.0, 2.0, 2.0]}
    content = {
        "images": [{"id": 72, "file_name": NAME, "width": 100, "height": 40}],
        "categories": [{"id": 25, "name": "giraffe"}, {"id": 1, "name": "person"}],
        "annotations": [
            {"id": k, "image_id": 72, "bbox": box, "category_id": 25 if k > 7 else 1}
            for k, box in boxes.items()
        ],
    }
    root = tmp_path / "refcoco"
    root.mkdir()
    (root / "refs(unc).p").write_bytes(pickle.dumps(refs, protocol=0))  # published by Python 2
    (root / "instances.json").write_text(json.dumps(content))
    (tmp_path / "train2014").mkdir()
    Image.new("RGB", (100, 40)).save(tmp_path / "train2014" / NAME)
    return tmp_path


def test_expressions_are_texts_of_their_own_linked_to_their_object_among_all(folder):
    (sample,) = RefCoco(folder / "refcoco", "testA", images=folder / "train2014")
    assert sample.caption == ""
    assert sample.phrases == ("tall giraffe", "giraffe on the left")
    assert sample.links == ((1, 0), (1, 1))
    torch.testing.assert_close(
        sample.boxes,
        torch.tensor([[0.0, 0.25, 0.2, 1.0], [0.505, 0.0, 1.0, 1.0], [0.01, 0.025, 0.03, 0.075]]),
    )
    samples = RefCoco(folder / "refcoco", "testA", images=folder / "train2014")
    assert [samples.class_names[i] for i in sample.labels] == ["person", "giraffe", "giraffe"]


def test_equal_expressions_are_asked_each(folder):
    refs = [ref(9, "val", "giraffe", "giraffe"), ref(8, "val", "giraffe")]
    (folder / "refcoco" / "refs(unc).p").write_bytes(pickle.dumps(refs))
    (sample,) = RefCoco(folder / "refcoco", "val", images=folder / "train2014")
    assert sample.phrases == ("giraffe",) * 3
    assert sample.links == ((1, 0), (1, 1), (2, 2))


def test_empty_expressions_are_left_out_and_names_of_2017_are_found(folder):
    os.rename(folder / "train2014" / NAME, folder / "train2014" / "000000000072.jpg")
    samples = RefCoco(folder / "refcoco", "train", images=folder / "train2014")
    assert len(samples) == 1
    assert samples[0].key == "72"


def test_the_splitter_can_be_chosen(folder):
    refs = [ref(7, "test", "by google")]
    (folder / "refcoco" / "refs(google).p").write_bytes(pickle.dumps(refs))
    chosen = RefCoco(folder / "refcoco", "test", images=folder / "train2014", by="google")
    assert chosen[0].phrase_texts == ("by google",)
    with pytest.raises(DataError, match=r"no split 'test': did you mean 'testA'\? Expected one of testA"):
        RefCoco(folder / "refcoco", "test", images=folder)
    with pytest.raises(DataError, match=r"no refs\(umd\)\.p"):
        RefCoco(folder / "refcoco", "test", images=folder, by="umd")


def test_a_pickle_that_would_run_code_is_refused(folder):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(folder / "boom"),)

    (folder / "refcoco" / "refs(unc).p").write_bytes(pickle.dumps([Bomb()]))
    with pytest.raises(DataError, match=r"holds \w+\.mkdir"):
        RefCoco(folder / "refcoco", images=folder)
    assert not (folder / "boom").exists()


def test_a_reference_to_nothing_and_other_files_are_named(folder):
    (folder / "refcoco" / "refs(unc).p").write_bytes(pickle.dumps([ref(33, "val", "a ghost")]))
    with pytest.raises(DataError, match="no annotation 33 of image 72"):
        RefCoco(folder / "refcoco", "val", images=folder)[0]
    (folder / "refcoco" / "refs(unc).p").write_bytes(pickle.dumps({"a": 1}))
    with pytest.raises(DataError, match="no list of references"):
        RefCoco(folder / "refcoco", "val", images=folder)
    (folder / "refcoco" / "refs(unc).p").write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read"):
        RefCoco(folder / "refcoco", "val", images=folder)
