"""Ranks as real processes under torchrun, two loader workers each, stopped and taken up again."""

import json
import os
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest

from harmoclip.data.formats.shards import Shards
from harmoclip.data.loader import Loader
from tests.helpers.shard_files import numbers


def read_a_batch(urls: str, folder: Path) -> None:
    """One rank: of rows and of shards, go on where it was, take a batch, leave its numbers and the state."""
    rank, ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    seen = {}
    for kind, dataset in (("rows", range(20)), ("shards", Shards(urls))):
        loader = Loader(dataset, list, batch_size=5, workers=2, seed=4, rank=rank, ranks=ranks)
        state = folder / f"{kind}-{rank}.json"
        if state.exists():
            loader.load_state_dict(json.loads(state.read_text()))
        batch = next(loader.endless())
        seen[kind] = batch if kind == "rows" else numbers(batch)
        state.write_text(json.dumps(loader.state_dict()))
    (folder / f"seen-{rank}.json").write_text(json.dumps(seen))


def launch(urls, folder):
    """What each of two ranks saw."""
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [*torchrun, "-m", "tests.data.test_loader_ranks", urls, str(folder)],
        cwd=Path(__file__).parents[2],
        check=True,
        timeout=300,
        env=environment,
    )
    return [json.loads((folder / f"seen-{rank}.json").read_text()) for rank in range(2)]


@pytest.mark.slow
def test_ranks_and_workers_share_a_pass_and_resume_in_its_middle(shards, tmp_path):
    launches = launch(shards, tmp_path), launch(shards, tmp_path)
    for kind in ("rows", "shards"):
        batches = [seen[kind] for launched in launches for seen in launched]
        assert [len(batch) for batch in batches] == [5, 5, 5, 5]
        assert sorted(chain(*batches)) == list(range(20))


if __name__ == "__main__":
    read_a_batch(sys.argv[1], Path(sys.argv[2]))
