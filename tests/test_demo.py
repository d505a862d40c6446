import json

from typer.testing import CliRunner

from harmoclip.cli import app

MEASURES = {"i2t_r1", "i2t_r5", "t2i_r1", "t2i_r5", "box_top1", "step_ms"}


def test_demo_prints_both_runs_and_writes_pictures(tmp_path):
    options = ["demo", "--steps", "2", "--scenes", "200", "--out", str(tmp_path), "--json"]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    table = json.loads(result.stdout.splitlines()[-1])
    assert set(table) == {"plain", "harmonized", "seconds"}
    assert set(table["plain"]) == set(table["harmonized"]) == MEASURES
    assert {p.name for p in tmp_path.iterdir()} == {"boxes.png", "similarity.png", "curves.png"}
    assert all(p.stat().st_size > 10_000 for p in tmp_path.iterdir())


def test_both_runs_start_from_the_same_weights_and_batches():
    from harmoclip.demo.study import Settings, Study

    study = Study(Settings(steps=1, batch_size=4, train_scenes=20, test_scenes=10), lambda *_: None)
    first: dict[bool, list[float]] = {True: [], False: []}
    for harmonized, losses in first.items():
        study.run(harmonized, lambda _, loss, losses=losses: losses.append(loss))
    again: list[float] = []
    study.run(True, lambda _, loss: again.append(loss))
    assert again == first[True]
    assert first[True] != first[False]
