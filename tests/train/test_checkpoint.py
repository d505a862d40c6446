import pytest
import torch
from accelerate import Accelerator

from harmoclip.files import remove_whole, sweep, write_whole
from harmoclip.train.checkpoint import Checkpoints
from harmoclip.train.data import Counts
from harmoclip.train.loop import Position


def test_partial_checkpoints_are_never_taken(tmp_path):
    checkpoints = Checkpoints(tmp_path, Accelerator(), keep=2)
    assert checkpoints.newest() is None
    for step in (1, 2, 3):
        checkpoints.save(step)
    (tmp_path / "step-00000009.partial").mkdir()
    assert checkpoints.newest().name == "step-00000003"
    assert len(list(tmp_path.glob("step-*"))) == 3
    sweep(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step-00000002", "step-00000003"]


def test_a_save_over_an_old_one_replaces_it(tmp_path):
    checkpoints = Checkpoints(tmp_path, Accelerator(), keep=2)
    checkpoints.save(1)
    (tmp_path / "step-00000001" / "stray").touch()
    checkpoints.save(1)
    assert not (tmp_path / "step-00000001" / "stray").exists()


def test_a_save_that_is_cut_off_leaves_the_old_state(tmp_path):
    class Cut(Accelerator):
        def save_state(self, folder):
            super().save_state(folder)
            raise KeyboardInterrupt

    model = torch.nn.Linear(2, 2)
    whole = Accelerator()
    whole.prepare(model)
    Checkpoints(tmp_path, whole, keep=2).save(1)
    with pytest.raises(KeyboardInterrupt):
        Checkpoints(tmp_path, Cut(), keep=2).save(2)
    assert Checkpoints(tmp_path, whole, keep=2).newest().name == "step-00000001"


def test_whole_files_and_folders(tmp_path):
    write_whole(tmp_path / "a", "text")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]
    (tmp_path / "folder").mkdir()
    remove_whole(tmp_path / "folder")
    remove_whole(tmp_path / "folder")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_checkpoint_needs_no_unsafe_pickle_and_holds_the_random_state(tmp_path, monkeypatch):
    accelerator = Accelerator()
    model = torch.nn.Linear(2, 2)
    model, optimizer = accelerator.prepare(model, torch.optim.AdamW(model.parameters()))
    model(torch.rand(1, 2)).sum().backward()
    optimizer.step()
    progress = Position()
    progress.step, progress.best, progress.seen = 7, 0.5, Counts(samples=3)
    Checkpoints(tmp_path, accelerator, 2, {"progress": progress}).save(7)
    expected = torch.rand(3)
    safe, load = [], torch.load

    def watched(*arguments, **options):
        safe.append(options["weights_only"])
        return load(*arguments, **options)

    monkeypatch.setattr(torch, "load", watched)
    later = Position()
    assert Checkpoints(tmp_path, accelerator, 2, {"progress": later}).resume()
    assert vars(later) == {"step": 7, "best": 0.5, "seen": Counts(samples=3)}
    assert torch.equal(torch.rand(3), expected)
    assert safe == [True, True]  # the optimiser and the random states; model and progress are no pickles
