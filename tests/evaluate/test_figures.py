import matplotlib as mpl
import pytest
from matplotlib.text import Text

from harmoclip.errors import EvaluationError
from harmoclip.evaluate.figures import draw_tradeoff

mpl.use("Agg")


@pytest.fixture(autouse=True)
def _close():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


def test_axes_do_not_zoom_into_noise():
    ax = draw_tradeoff({"0": (0.5, 0.2), "0.5": (0.501, 0.2005), "1": (0.5, 0.201)}, curve=True).axes[0]
    for low, high in (ax.get_xlim(), ax.get_ylim()):
        assert high - low == pytest.approx(0.1)
    assert ax.xaxis.get_major_formatter()(0.5, None) == "50 %"


def test_wide_points_are_all_inside():
    ax = draw_tradeoff({"before": (0.1, 0.0), "after": (0.9, 1.0)}).axes[0]
    assert ax.get_xlim()[0] < 0.1 < 0.9 < ax.get_xlim()[1]
    assert ax.get_ylim()[0] < 0 < 1 < ax.get_ylim()[1]


def test_axes_show_no_fraction_that_cannot_be():
    ax = draw_tradeoff({"before": (0.0, 0.99), "after": (0.01, 1.0)}).axes[0]
    for low, high in (ax.get_xlim(), ax.get_ylim()):
        assert high - low == pytest.approx(0.1)
        assert low > -0.01
        assert high < 1.01


def test_points_that_are_no_number_are_refused():
    with pytest.raises(EvaluationError, match="not finite"):
        draw_tradeoff({"before": (0.1, float("nan"))})


@pytest.mark.parametrize("count", [1, 3, 40])
@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_no_name_covers_another_or_a_point(count, spread):
    """Many models, at one place or apart, with long names: every name is read, and in the picture."""
    names = [f"runs/2026-11-29/vit-b-16-of-a-long-name/checkpoint-{i}" for i in range(count)]
    points = {name: (0.5 + spread * (i % 7) / 20, 0.3 + spread * i / 100) for i, name in enumerate(names)}
    figure = draw_tradeoff(points)
    figure.canvas.draw()
    ax = figure.axes[0]
    boxes = [Text.get_window_extent(text) for text in ax.texts]  # without the line to the point
    assert len(boxes) == count
    assert not any(box.overlaps(other) for i, box in enumerate(boxes) for other in boxes[:i])
    assert all(box.x0 > ax.bbox.x1 and box.x1 <= figure.bbox.x1 for box in boxes)
    assert all(box.y0 >= 0 and box.y1 <= figure.bbox.y1 for box in boxes)
    assert ax.bbox.width > 0.4 * figure.bbox.width
