import json
import pickle
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest
from PIL import Image

from harmoclip.data.formats.captioned import CaptionedBoxes
from harmoclip.data.formats.hugging_face import ReadObjects
from harmoclip.data.formats.json_lines import JsonLines
from harmoclip.data.tools.phrase_cache import PhraseCache
from harmoclip.errors import DataError
from harmoclip.evaluate.cache import VectorCache
from harmoclip.segment import CaptionSegmenter

CAPTIONS = [
    "A man in a red hat walks two dogs.",
    "Ein Café № 5 by the sea.",
    "It.",
    "A man in a red hat walks two dogs. ",
]


@pytest.fixture(scope="module")
def segmenter():
    return CaptionSegmenter()


@pytest.fixture
def cache(tmp_path, segmenter):
    cache = PhraseCache(tmp_path / "phrases.sqlite", segmenter)
    yield cache
    cache.close()


def test_what_is_kept_is_what_was_found(cache, segmenter, monkeypatch):
    wanted = [segmenter(caption) for caption in CAPTIONS]
    assert any(phrase.relations for phrase in wanted[0])
    assert [cache(caption) for caption in CAPTIONS] == wanted
    assert len(cache) == 4
    monkeypatch.setattr(cache, "segmenter", None)  # nothing is parsed again
    assert [cache(caption) for caption in CAPTIONS] == wanted


def test_filling_parses_new_captions_once(cache, segmenter, capsys):
    cache(CAPTIONS[0])
    assert cache.fill([*CAPTIONS, *CAPTIONS]) == 3
    assert cache.fill(CAPTIONS) == 0
    assert cache(CAPTIONS[1]) == segmenter(CAPTIONS[1])


def test_another_segmenter_has_entries_of_its_own(cache, segmenter):
    absent = "A street without any cars on a sunny day."
    cache(absent)
    other = PhraseCache(cache.path, CaptionSegmenter(segmenter.nlp, keep_all=True))
    assert not other.holds(absent)
    assert [p.reason for p in other(absent)] != [p.reason for p in cache(absent)]
    other.close()


def test_it_survives_pickling_and_is_shared_by_processes(cache):
    copy = pickle.loads(pickle.dumps(cache))
    assert copy(CAPTIONS[0]) == cache(CAPTIONS[0])
    copy.close()
    with ProcessPoolExecutor(2, get_context("fork")) as pool:
        found = list(pool.map(cache, CAPTIONS * 5, chunksize=10))
    assert found == [cache(caption) for caption in CAPTIONS * 5]
    assert len(cache) == 4


def test_a_file_that_is_no_cache_is_refused(tmp_path, segmenter):
    (tmp_path / "notes.txt").write_text("not a data base, but some text of more than a few characters " * 9)
    with pytest.raises(DataError, match=r"cannot be kept in .*notes\.txt"):
        PhraseCache(tmp_path / "notes.txt", segmenter)
    with pytest.raises(DataError, match="cannot be kept"):
        PhraseCache(tmp_path / "none" / "phrases.sqlite", segmenter)


def read_json_line(folder, cache):
    (folder / "mine.jsonl").write_text(json.dumps({"image": "a.png", "caption": CAPTIONS[0]}))
    return JsonLines(folder / "mine.jsonl", segment=cache)[0]


def read_row(folder, cache):
    objects = {"bbox": [], "category": []}
    row = {"image": Image.open(folder / "a.png"), "caption": CAPTIONS[0], "objects": objects}
    return ReadObjects(segment=cache)(row, "0")


def read_coco(folder, cache):
    entry = {"id": 1, "file_name": "a.png", "width": 9, "height": 9}
    rows = [(entry, CAPTIONS[0])]
    return CaptionedBoxes(rows, {}, {}, image_file=lambda image: folder / "a.png", segment=cache)[0]


@pytest.mark.parametrize("read", [read_json_line, read_row, read_coco])
def test_an_empty_cache_is_used_and_filled(read, cache, tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "a.png")
    assert read(tmp_path, cache).phrase_texts == ("A man", "a red hat", "two dogs")
    assert len(cache) == 1


def test_the_file_is_closed_with_what_keeps_it(tmp_path):
    caches = [PhraseCache(tmp_path / "phrases.sqlite"), VectorCache(tmp_path / "vectors.sqlite")]
    files = [caches[0]._connection, caches[1]._database]
    del caches
    for file in files:
        with pytest.raises(sqlite3.ProgrammingError, match="closed database"):
            file.execute("SELECT 1")
