"""Runs over a user's own files: what is missing is said, what is broken counted, what is unlinked linked."""

import json

import pytest

from harmoclip.data.scenes import Scenes
from harmoclip.errors import DataError, InputError, TrainingError
from harmoclip.train.log import read_lines
from harmoclip.train.loop import Run, train

pytest_plugins = ["tests.helpers.small_runs"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
COUNT = 24


@pytest.fixture
def lines(tmp_path):
    """JSON lines of scenes with boxes in pixels, without phrases and links."""
    scenes, rows = Scenes("train", COUNT), []
    for i in range(COUNT):
        sample = scenes[i]
        sample.image.save(tmp_path / f"{i}.png")
        width, height = sample.size
        boxes = [
            [x1 * width, y1 * height, x2 * width, y2 * height] for x1, y1, x2, y2 in sample.boxes.tolist()
        ]
        rows.append({"image": f"{i}.png", "caption": sample.caption, "boxes": boxes})
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def own(config, lines, tmp_path):
    def make(*more):
        data = [f"data.path={lines}", "data.format=null", "data.unit=pixel", "steps=4"]
        return config(tmp_path / "run", *data, *more)

    return make


def test_a_run_without_links_stops_and_says_what_to_do(own, tmp_path):
    with pytest.raises(TrainingError, match=r"0 phrases and 0 links .*data\.segment=true .*data\.link=words"):
        train(own())
    assert not (tmp_path / "run" / "final").exists()
    with pytest.raises(TrainingError, match=r"[1-9]\d* phrases and 0 links"):
        train(own("data.segment=true", f"out={tmp_path / 'segmented'}"))


def test_a_run_without_links_is_one_where_no_term_needs_them(own):
    assert train(own("objective.weights.lexeme_region=0"))["step"] == 4


def test_a_run_whose_boxes_are_all_dropped_stops_and_says_why(own, lines):
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    for row in rows:
        row["boxes"] = [[500, 500, 520, 530]] * len(row["boxes"])  # outside of an image of 64 by 64
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(TrainingError, match=r"All \d+ boxes were dropped.*data\.unit"):
        train(own())


def test_a_run_that_weighs_hard_negatives_needs_some(own, lines, tmp_path):
    weighed = "objective.weights.hard_negative=0.25"
    linked = ["data.segment=true", "data.link=similarity", "data.link_threshold=0"]
    with pytest.raises(TrainingError, match=r"no hard negatives: .*harmoclip data prepare --negatives 3"):
        train(own(*linked, weighed))
    rows = [json.loads(line) for line in lines.read_text().splitlines()]
    for row in rows:
        row |= {"phrases": [{"text": "a red hat"}, {"text": "a blue hat"}]}
        row |= {"links": [[0, 0]], "negatives": [[0, 1]]}
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))
    result = train(own(weighed, f"out={tmp_path / 'negatives'}"))
    assert result["hard_negative_loss"] > 0


def test_phrases_are_found_and_linked_by_what_the_model_finds_similar(own):
    result = train(own("data.segment=true", "data.link=similarity", "data.link_threshold=0"))
    assert result["lexeme_region_loss"] > 0


def test_links_by_similarity_are_those_of_the_start_after_a_kill_too(own, tmp_path):
    options = ["data.segment=true", "data.link=similarity", "data.link_threshold=0", "steps=6"]
    options += ["optimizer.schedule=constant", "checkpoint.every=2"]
    train(own(*options, f"out={tmp_path / 'whole'}"))
    for steps in (3, 6):
        train(own(*options, f"steps={steps}", f"out={tmp_path / 'parts'}"))
    whole, parts = (read_lines(tmp_path / name / "losses.jsonl") for name in ("whole", "parts"))
    assert whole == parts


def test_words_need_the_names_of_classes(own):
    with pytest.raises(InputError, match=r"data\.link is words, but the data does not name the classes"):
        train(own("data.link=words"))


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_what_cannot_be_read_ends_the_run_or_is_left_out_and_named(own, tmp_path, workers):
    (tmp_path / "3.png").unlink()
    (tmp_path / "5.png").write_bytes(b"no image")
    without = ["objective.weights.lexeme_region=0", f"data.workers={workers}"]
    with pytest.raises(DataError, match=r"3\.png does not exist|5\.png cannot be read"):
        train(own(*without, f"out={tmp_path / 'stopped'}"))
    run = Run(own(*without, "data.on_broken=skip", "steps=8"))
    assert run.train()["step"] == 8
    assert run.position.seen.samples == 8 * 6  # others take their place
    named = (tmp_path / "run" / "left_out.txt").read_text().splitlines()
    assert len(named) == 2
    assert any("3.png does not exist" in line for line in named)
    assert any("5.png cannot be read" in line for line in named)


def test_data_of_which_nothing_can_be_read_is_an_error(own, tmp_path):
    for i in range(COUNT):
        (tmp_path / f"{i}.png").unlink()
    with pytest.raises(DataError, match=r"samples one after the other cannot be read.*png does not exist"):
        train(own("data.on_broken=skip"))


def rewritten(lines, **changes):
    rows = [{**json.loads(line), **changes} for line in lines.read_text().splitlines()]
    lines.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_held_out_samples_that_cannot_be_read_are_left_out_too(own, lines, tmp_path):
    rewritten(lines, phrases=[{"text": "a thing"}], links=[[0, 0]])
    (tmp_path / "3.png").unlink()
    watched = [f"evaluation.path={lines}", "evaluation.samples=8", "objective.weights.lexeme_region=0"]
    with pytest.raises(DataError, match=r"3\.png does not exist"):
        Run(own(*watched))
    samples, _, broken = Run(own(*watched, "data.on_broken=skip")).held_out
    assert len(samples) == 8
    assert len(broken) == 1
    assert "3.png does not exist" in broken[0]
    assert {sample.caption for sample in samples} <= {Scenes("train", COUNT)[i].caption for i in range(9)}


def test_held_out_samples_that_cannot_be_measured_are_told_before_the_run(own, lines):
    watched = f"evaluation.path={lines}", "objective.weights.lexeme_region=0"
    with pytest.raises(DataError, match=r"evaluation: no held-out box has .* Give evaluation\.path"):
        Run(own(*watched))
    rewritten(lines, caption="", phrases=[{"text": "a thing"}], links=[[0, 0]])
    with pytest.raises(DataError, match="evaluation: none of 24 samples has a caption"):
        Run(own(*watched))
