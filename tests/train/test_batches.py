import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from harmoclip.errors import DataError
from harmoclip.train.batches import batches_from


def take(count, position=0, length=23, **options):
    chosen = {"batch_size": 4, "workers": 0, "seed": 0, **options}
    batches = batches_from(position, range(length), list, **chosen)
    return [next(batches) for _ in range(count)]


def rows(batches):
    return [row for batch in batches for row in batch]


@given(st.integers(0, 20), st.integers(0, 3))
def test_going_on_from_any_position_gives_the_same_batches(position, seed):
    assert take(3, position, seed=seed) == take(position + 3, seed=seed)[position:]


def test_each_epoch_is_another_permutation_without_repeats():
    epochs = [rows(take(5, 5 * e)) for e in range(3)]
    assert all(len(set(epoch)) == 20 for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


def test_ranks_share_an_epoch_without_overlap():
    ranks = [rows(take(2, rank=r, ranks=2)) for r in range(2)]
    assert len(set(ranks[0]) | set(ranks[1])) == 16


class Noise(torch.utils.data.Dataset):
    def __len__(self):
        return 12

    def __getitem__(self, row):
        return row + torch.rand(()).item()


@pytest.mark.parametrize("workers", [0, 2])
def test_augmentation_is_a_function_of_the_position(workers):
    state = torch.get_rng_state()
    options = {"batch_size": 4, "seed": 5}
    whole = batches_from(0, Noise(), list, workers=workers, **options)
    rest = batches_from(2, Noise(), list, workers=0, **options)
    ours = [next(whole) for _ in range(5)]
    assert ours[2:] == [next(rest) for _ in range(3)]
    assert {int(v) for b in ours[:3] for v in b} == set(range(12))
    assert not {v % 1 for b in ours[:2] for v in b} & {v % 1 for b in ours[3:] for v in b}
    assert torch.equal(state, torch.get_rng_state())


def test_too_few_samples_are_refused():
    with pytest.raises(DataError, match="23 samples: expected at least 4 x 8"):
        take(1, ranks=8)
