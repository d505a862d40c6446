"""What commands show: bars that survive narrow terminals, and lines where nobody watches."""

import io

import pytest
from rich.console import Console

from harmoclip.cli.progress import Progress
from harmoclip.cli.train import TrainingProgress
from harmoclip.train.log import Status

MEASURES = {"i2t_r1": 0.252, "t2i_r1": 0.26, "box_top1": 0.19}
LAST = Status(3400, 10000, {"loss": 13.2141, "lexeme_region_loss": 2.0}, 9.5e-6, 1234.3, MEASURES, True)


def shown(console, *told, **options):
    with Progress(console, **options) as progress:
        run = TrainingProgress(progress)
        run.begin(3390, 10000)
        for status in told:
            run.step(status)
    return console.file.getvalue()


def test_a_run_fits_a_terminal_of_80_columns():
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system=None)
    last = shown(console, LAST).rsplit("\r", 1)[-1]
    for part in ("3400/10000", "loss 13.214", "R@1 25.6%", "box 19.0%", "lr 9.5e-06", "1234 img/s"):
        assert part in last
    assert max(map(len, last.replace("\x1b[2K", "").splitlines())) <= 80


def test_a_pipe_gets_a_line_a_logged_step_and_one_after_a_long_silence(monkeypatch):
    console = Console(file=io.StringIO())
    quiet = LAST._replace(step=3401, worth_a_line=False)
    lines = shown(console, LAST, quiet).splitlines()
    assert len(lines) == 1
    for part in ("step 3400/10000", "loss 13.214", "lexeme region 2.000", "R@1 25.6%", "lr 9.5e-06"):
        assert part in lines[0]
    assert "step 3401/10000" in shown(Console(file=io.StringIO()), quiet, every=0.0)


@pytest.mark.parametrize(("every", "lines"), [(0.0, 3), (3600.0, 0)])
def test_other_commands_speak_now_and_then(every, lines):
    console = Console(file=io.StringIO())
    with Progress(console, every) as progress:
        assert list(progress.track("abc", "reading")) == list("abc")
    assert len(console.file.getvalue().splitlines()) == lines
