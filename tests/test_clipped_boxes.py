import torch
from hypothesis import given
from hypothesis import strategies as st

from harmoclip.boxes import EDGE_TOLERANCE, bad_boxes, clip_boxes, snap_to_edges

number = st.floats(-2, 3, width=32) | st.sampled_from([float("nan"), float("inf"), -float("inf"), 0.0, 1.0])
rows_of_boxes = st.lists(st.tuples(number, number, number, number), max_size=6).map(
    lambda rows: torch.tensor(rows, dtype=torch.float32).reshape(-1, 4)
)


@given(rows_of_boxes)
def test_clipped_boxes_are_never_bad_and_none_is_forgotten(boxes):
    clipped = clip_boxes(boxes)
    assert not bad_boxes(clipped.boxes).any()
    assert sorted([*clipped.kept.tolist(), *clipped.dropped]) == list(range(len(boxes)))
    torch.testing.assert_close(clipped.boxes, boxes[clipped.kept].clamp(0, 1), rtol=0, atol=0)


def test_reasons():
    nan = float("nan")
    boxes = torch.tensor(
        [[0, 0, 1, nan], [0.5, 0, 0.2, 1], [0, 0.5, 1, 0.5], [0, 1.5, 1, 2], [-1, -1, 2, 2]],
        dtype=torch.float64,
    )
    clipped = clip_boxes(boxes)
    reasons = ["not finite", "swapped", "no area", "outside"]
    assert all(word in clipped.dropped[row] for row, word in enumerate(reasons))
    assert clipped.boxes.tolist() == [[0, 0, 1, 1]]
    assert clipped.boxes.dtype == torch.float32


@given(rows_of_boxes)
def test_snapping_moves_nothing_but_rounding(boxes):
    snapped = snap_to_edges(boxes)
    moved = snapped != boxes
    moved &= ~boxes.isnan()
    assert ((snapped - boxes)[moved].abs() <= EDGE_TOLERANCE).all()
    assert torch.equal(snap_to_edges(snapped).nan_to_num(), snapped.nan_to_num())
