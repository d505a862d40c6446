import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harmoclip import Grounding
from harmoclip.errors import GroundingError


def valid() -> dict[str, torch.Tensor]:
    return {
        "boxes": torch.tensor([[0.1, 0.2, 0.5, 0.9], [0.0, 0.0, 1.0, 1.0]]),
        "image_index": torch.tensor([0, 1]),
        "spans": torch.tensor([[1, 4], [2, 3], [5, 7]]),
        "text_index": torch.tensor([0, 1, 1]),
        "links": torch.tensor([[0, 0], [1, 1], [1, 2]]),
        "phrase_id": torch.tensor([9, 7, 9]),
    }


def test_distinct_phrases():
    grounding = Grounding(**valid())
    assert grounding.plan.first.tolist() == [1, 0]
    assert grounding.plan.first[grounding.plan.row_of].tolist() == [0, 1, 0]
    assert grounding.plan.longest == 3


def test_wordings_of_a_phrase_are_encoded_apart():
    wording = torch.tensor([4, 4, 5])
    grounding = Grounding(**valid(), wording=wording)
    assert sorted(grounding.plan.first.tolist()) == [0, 2]
    standing = grounding.plan.first[grounding.plan.row_of]
    assert standing.tolist() == [0, 0, 2]
    cleaned, _ = Grounding.clean(**valid(), wording=wording)
    for copy in (grounding.replace(), grounding.to("cpu"), cleaned):
        assert copy.wording.tolist() == wording.tolist()
    assert grounding.replace(wording=None).plan.first.tolist() == [1, 0]
    with pytest.raises(GroundingError, match="spans has 3 rows and wording 2"):
        grounding.replace(wording=wording[:2])
    with pytest.raises(GroundingError, match=r"wording is torch.float32: expected torch.int64"):
        grounding.replace(wording=wording.float())


def test_collate_joins_wordings_where_every_sample_has_them():
    nothing = torch.empty(0, dtype=torch.int64)
    one = Grounding(
        boxes=torch.empty(0, 4), image_index=nothing, spans=torch.tensor([[1, 2]]), links=nothing.view(0, 2),
        text_index=torch.tensor([0]), phrase_id=torch.tensor([3]), wording=torch.tensor([8]),
    )  # fmt: skip
    assert Grounding.collate([one, one.replace(wording=one.wording + 1)]).wording.tolist() == [8, 9]
    assert Grounding.collate([one, one.replace(wording=None)]).wording is None


@pytest.mark.parametrize(
    ("name", "row", "value"),
    [
        ("boxes", 1, [0.5, 0.2, 0.5, 0.9]),
        ("boxes", 0, [0.5, 0.9, 0.6, 0.2]),
        ("boxes", 1, [float("nan"), 0.2, 0.5, 0.9]),
        ("boxes", 0, [0.1, 0.2, float("inf"), 0.9]),
        ("boxes", 1, [0.5, 0.2, 1.5, 0.9]),
        ("boxes", 0, [-0.1, 0.2, 0.5, 0.9]),
        ("image_index", 1, -1),
        ("spans", 2, [4, 4]),
        ("spans", 0, [-1, 4]),
        ("text_index", 2, -3),
        ("links", 2, [2, 0]),
        ("links", 1, [0, 3]),
        ("links", 0, [-1, 0]),
    ],
)
def test_impossible_rows_are_named(name, row, value):
    tensors = valid()
    tensors[name][row] = torch.tensor(value)
    with pytest.raises(GroundingError, match=rf"{name}\[{row}\]"):
        Grounding(**tensors)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("boxes", torch.rand(2, 4).double()),
        ("boxes", torch.rand(2, 3)),
        ("boxes", [[0.0, 0.0, 1.0, 1.0]]),
        ("image_index", torch.tensor([0])),
        ("image_index", torch.tensor([0, 1], dtype=torch.int32)),
        ("links", torch.tensor([0, 1])),
        ("phrase_id", torch.tensor([1, 2])),
    ],
)
def test_wrong_types_and_shapes_are_named(name, value):
    with pytest.raises(GroundingError, match=name):
        Grounding(**{**valid(), name: value})


def test_collate_shifts_every_index():
    def one(boxes, links):
        rows = torch.rand(boxes, 2) * 0.4
        return Grounding(
            boxes=torch.cat([rows, rows + 0.5], 1), image_index=torch.zeros(boxes, dtype=torch.int64),
            spans=torch.tensor([[1, 2], [3, 5]]), text_index=torch.tensor([0, 0]),
            links=torch.tensor(links).reshape(-1, 2), phrase_id=torch.tensor([boxes, 100]),
        )  # fmt: skip

    first, none, last = one(2, [[1, 0]]), Grounding.empty(), one(3, [[2, 1], [0, 0]])
    joined = Grounding.collate([first, none, last])
    assert joined.image_index.tolist() == [0, 0, 2, 2, 2]
    assert joined.text_index.tolist() == [0, 0, 2, 2]
    assert joined.links.tolist() == [[1, 0], [4, 3], [2, 2]]
    torch.testing.assert_close(joined.boxes, torch.cat([first.boxes, last.boxes]))
    with pytest.raises(GroundingError, match="grounding 1 speaks of more than one"):
        Grounding.collate([first, joined])


def test_check_batch_names_what_points_outside():
    grounding = Grounding(**valid())
    grounding.check_batch(2, 2, 7)
    for size, name in (((1, 2, 7), "image_index"), ((2, 1, 7), "text_index"), ((2, 2, 6), "spans")):
        with pytest.raises(GroundingError, match=name):
            grounding.check_batch(*size)


def test_to_keeps_everything():
    grounding = Grounding(**valid())
    moved = grounding.to("cpu")
    assert repr(moved) == repr(grounding)
    torch.testing.assert_close(moved.plan.first, grounding.plan.first)


def test_clean_reports_and_reindexes():
    tensors = valid()
    tensors["boxes"] = torch.tensor([[0.5, 0.5, 0.2, 0.9], [-1.0, 0.5, 0.4, 2.0]])
    tensors["spans"][0] = torch.tensor([3, 3])
    tensors["links"] = torch.tensor([[1, 1], [0, 1], [1, 0], [1, 2], [1, 9]])
    grounding, dropped = Grounding.clean(**tensors)
    assert dropped == {"boxes": [0], "spans": [0], "links": [1, 2, 4]}
    torch.testing.assert_close(grounding.boxes, torch.tensor([[0.0, 0.5, 0.4, 1.0]]))
    assert grounding.links.tolist() == [[0, 0], [0, 1]]
    assert grounding.phrase_id.tolist() == [7, 9]


finite = st.floats(-2, 3, width=32) | st.sampled_from([float("nan"), float("inf"), 0.0, 1.0])


@given(st.lists(st.tuples(finite, finite, finite, finite), max_size=6))
def test_clean_keeps_exactly_the_boxes_with_area(rows):
    boxes = torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)
    index = torch.zeros(len(rows), dtype=torch.int64)
    nothing = index[:0]
    grounding, dropped = Grounding.clean(
        boxes, index, nothing.view(0, 2), nothing, nothing.view(0, 2), nothing
    )
    cut = boxes.clamp(0, 1)
    whole = boxes.isfinite().all(1).tolist()
    expected = [i for i, (a, b, c, d) in enumerate(cut.tolist()) if not (whole[i] and a < c and b < d)]
    assert dropped["boxes"] == expected
    assert len(grounding.boxes) == len(rows) - len(expected)


@given(st.lists(st.integers(1, 9), max_size=12))
def test_phrase_groups_take_the_fewest_positions(lengths):
    count = len(lengths)
    start, index = torch.arange(count), torch.zeros(count, dtype=torch.int64)
    grounding = Grounding.empty().replace(
        spans=torch.stack([start, start + torch.tensor(lengths, dtype=torch.int64)], 1),
        text_index=index,
        phrase_id=torch.arange(count).flip(0),
    )
    ordered = sorted(lengths)
    found = [lengths[row] for row in grounding.plan.first.tolist()]
    assert found == ordered
    assert [lengths[row] for row in grounding.plan.first[grounding.plan.row_of].tolist()] == lengths
    assert grounding.plan.longest == max(lengths, default=0)
    groups = grounding.plan.groups
    assert (len(groups), sum(size for size, _ in groups)) == (3, count)
    ends = [sum(size for size, _ in groups[:k]) for k in range(4)]
    for (_, longest), start_of, end_of in zip(groups, ends, ends[1:], strict=False):
        assert all(length <= longest for length in ordered[start_of:end_of])
    assert count < 6 or min(size for size, _ in groups) >= 2
    cheapest = min(
        sum(len(part) * (part[-1] + 2) for part in (ordered[:i], ordered[i:j], ordered[j:]) if part)
        for i in range(count + 1)
        for j in range(i, count + 1)
    )
    spare = 4 * max(lengths) if count >= 6 else 0  # so that no group has less than two
    assert 0 <= sum(size * (longest + 2) for size, longest in groups) - cheapest <= spare


def test_what_rounding_did_at_the_edge_is_undone():
    boxes = torch.tensor([[-9e-5, 0.2, 0.5, 1.0000005], [0.0, 0.0, 1.00009, 1.0]])
    grounding = Grounding(**{**valid(), "boxes": boxes})
    assert grounding.boxes.tolist() == boxes.clamp(0, 1).tolist()
    for box in ([0.1, 0.2, 1.0002, 0.9], [1.0, 0.2, 1.00005, 0.9]):  # too far, and no area left
        boxes[1] = torch.tensor(box)
        with pytest.raises(GroundingError, match=r"boxes\[1\]"):
            Grounding(**{**valid(), "boxes": boxes})


def test_image_id_is_kept_and_checked():
    grounding = Grounding(**valid(), image_id=torch.tensor([8, 8]))
    cleaned, _ = Grounding.clean(**valid(), image_id=torch.tensor([8, 8]))
    for copy in (grounding.replace(), grounding.to("cpu"), cleaned):
        assert copy.image_id.tolist() == [8, 8]
    grounding.check_batch(2, 2, 7)
    with pytest.raises(GroundingError, match="image_id has 2 rows, but the batch has 3 images"):
        grounding.check_batch(3, 3, 7)
    with pytest.raises(GroundingError, match=r"image_id is torch.float32"):
        grounding.replace(image_id=torch.tensor([8.0, 8.0]))


def test_collate_joins_image_ids():
    one = Grounding.empty().replace(image_id=torch.tensor([5]))
    assert Grounding.collate([one, one.replace(image_id=torch.tensor([6]))]).image_id.tolist() == [5, 6]
    with pytest.raises(GroundingError, match="1 of 2 groundings have image_id"):
        Grounding.collate([one, Grounding.empty()])
