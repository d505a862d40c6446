import itertools

import pytest
import torch

from harmoclip.data.formats.shards import Shards
from harmoclip.data.loader import Loader
from harmoclip.errors import DataError, InputError
from tests.helpers.shard_files import numbers, picture, row, write_shard


def noisy(row):
    return row, torch.rand(()).item()


def loader(dataset=range(23), **options):
    return Loader(dataset, list, **{"batch_size": 2, "transform": noisy, "seed": 3, **options})


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("stop", [1, 4, 11, 12, 15])
def test_a_loader_goes_on_in_the_middle_of_an_epoch(stop, workers):
    first = loader()
    seen = list(itertools.islice(itertools.chain(first, first, first), 33))
    stopped = loader()
    assert list(itertools.islice(itertools.chain(stopped, stopped), stop)) == seen[:stop]
    resumed = loader(workers=workers)
    resumed.load_state_dict(stopped.state_dict())
    assert list(itertools.islice(itertools.chain(resumed, resumed, resumed), 33 - stop)) == seen[stop:]


@pytest.mark.parametrize("workers", [0, 2])
def test_endless_batches_are_the_epochs_one_after_another(workers):
    once = loader()
    epochs = [batch for _ in range(3) for batch in once]
    running = loader(workers=workers)
    batches = running.endless()
    assert list(itertools.islice(batches, 15)) == epochs[:15]
    resumed = loader()
    resumed.load_state_dict(running.state_dict())
    assert list(itertools.islice(resumed.endless(), 18)) == epochs[15:]
    assert list(itertools.islice(batches, 18)) == epochs[15:]


def test_the_state_at_an_epoch_s_end_leads_to_the_next():
    first, later = loader(), loader()
    list(first)
    later.load_state_dict(first.state_dict())
    assert len(list(later)) == len(later)


def test_epochs_are_permutations_and_random_numbers_differ():
    once = loader(range(24))
    first, second = list(once), list(once)
    assert len(first) == len(once) == 12
    rows = [row for batch in first for row, _ in batch]
    assert sorted(rows) == list(range(24))
    assert rows != [row for batch in second for row, _ in batch]
    assert len({noise for batch in first + second for _, noise in batch}) == 48


def test_ranks_share_an_epoch_without_overlap():
    parts = [[row for batch in loader(range(25), rank=r, ranks=3) for row, _ in batch] for r in range(3)]
    assert [len(part) for part in parts] == [8, 8, 8]
    assert len(set(itertools.chain(*parts))) == 24


def test_loading_leaves_the_model_s_random_numbers_alone():
    torch.manual_seed(5)
    wanted = torch.rand(3)
    torch.manual_seed(5)
    list(loader())
    torch.testing.assert_close(torch.rand(3), wanted)


@pytest.mark.parametrize("workers", [0, 2])
def test_shards_go_on_where_they_were(shards, workers):
    def begin():
        return loader(Shards(shards, shuffle=3), transform=None, batch_size=3, workers=workers)

    seen = [numbers(batch) for batch in itertools.islice(begin(), 16)]
    for stop in (1, 5, 8):
        stopped = begin()
        assert [numbers(b) for b in itertools.islice(stopped, stop)] == seen[:stop]
        resumed = begin()
        resumed.load_state_dict(stopped.state_dict())
        assert [numbers(b) for b in itertools.islice(resumed, 16 - stop)] == seen[stop:]


def test_ranks_read_different_shards(shards):
    parts = [
        [n for b in itertools.islice(loader(Shards(shards), transform=None, batch_size=5, rank=r, ranks=2), 2)
         for n in numbers(b)]
        for r in range(2)
    ]  # fmt: skip
    assert sorted(parts[0] + parts[1]) == list(range(20))


def test_what_cannot_be_loaded_is_said():
    with pytest.raises(DataError, match="has 5 samples: expected at least 2 x 3"):
        loader(range(5), ranks=3)
    with pytest.raises(InputError, match="rank 2 of 2"):
        loader(rank=2, ranks=2)
    with pytest.raises(InputError, match=r"'ranks': 1.*'ranks': 2"):
        loader(ranks=2).load_state_dict(loader().state_dict())


class Photographs:
    """Five samples of each of some images, of which the third cannot be read."""

    def __init__(self, images=12, broken=()):
        self.image_ids = [image for image in range(images) for _ in range(5)]
        self.broken = broken

    def __len__(self):
        return len(self.image_ids)

    def __getitem__(self, row):
        if self.image_ids[row] in self.broken:
            raise DataError(f"image {self.image_ids[row]} does not exist.")
        return row


@pytest.mark.parametrize("workers", [0, 2])
def test_one_caption_an_image_and_epoch_each_in_its_turn(workers):
    def begin(**options):
        return loader(Photographs(), one_caption=True, batch_size=3, workers=workers, **options)

    loading = begin()
    epochs = [[row for batch in loading for row, _ in batch] for _ in range(5)]
    for rows in epochs:
        assert sorted(row // 5 for row in rows) == list(range(12))
    assert sorted(row for rows in epochs for row in rows) == list(range(60))
    again = begin()
    assert [row for batch in again for row, _ in batch] == epochs[0]
    other = begin(seed=4)
    assert [row for batch in other for row, _ in batch] != epochs[0]
    with pytest.raises(InputError, match="one_caption"):
        loader(Photographs(), batch_size=3).load_state_dict(loading.state_dict())


def test_one_caption_needs_to_know_the_images(shards):
    with pytest.raises(InputError, match="range has no image_ids"):
        loader(one_caption=True)
    with pytest.raises(InputError, match="Shards has no image_ids"):
        loader(Shards(shards), one_caption=True)


@pytest.mark.parametrize("workers", [0, 2])
def test_what_cannot_be_read_is_replaced_and_told_once_an_image(workers):
    told = []
    data = Photographs(broken=(3, 7))
    loading = loader(data, batch_size=4, workers=workers, on_broken=told.append)
    batches = [batch for _ in range(2) for batch in loading]
    assert [len(batch) for batch in batches] == [4] * 30
    assert not {row // 5 for batch in batches for row, _ in batch} & {3, 7}
    assert sorted(map(str, told)) == ["image 3 does not exist.", "image 7 does not exist."]
    again = loader(data, batch_size=4, on_broken=told.append)
    assert [batch for _ in range(2) for batch in again] == batches
    with pytest.raises(DataError, match="does not exist"):
        list(loader(data, batch_size=4))
    with pytest.raises(DataError, match="20 samples one after the other cannot be read"):
        list(loader(Photographs(2, (0, 1)), batch_size=4, on_broken=told.append))


def test_broken_samples_of_shards_are_told_by_the_loader(tmp_path):
    good, bad = {"png": picture(), "json": row(1)}, {"png": b"x", "json": row(2)}
    url = write_shard(tmp_path / "a.tar", {"a": good, "b": bad, "c": good})
    told = []
    loading = loader(Shards([url]), transform=None, on_broken=told.append)
    list(itertools.islice(loading.endless(), 3))
    assert len(told) == 1
    assert "b of" in str(told[0])
