import pytest

from tests.helpers.shard_files import picture, row, write_shard


@pytest.fixture
def shards(tmp_path):
    """Four shards of five samples, 0 to 19 in order."""
    for s in range(4):
        samples = {f"größe{n:02}": {"png": picture(n), "json": row(n)} for n in range(5 * s, 5 * s + 5)}
        write_shard(tmp_path / f"part-{s}.tar", samples)
    return str(tmp_path / "part-{0..3}.tar")
