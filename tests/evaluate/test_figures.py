import matplotlib as mpl
import pytest

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


def test_points_that_are_no_number_are_refused():
    with pytest.raises(EvaluationError, match="not finite"):
        draw_tradeoff({"before": (0.1, float("nan"))})
