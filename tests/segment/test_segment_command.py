"""Whole inputs through the segmenter: every format, bad records, kills at any moment."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import spacy
import webdataset
from typer.testing import CliRunner

from harmoclip.errors import DataError, InputError
from harmoclip.segment import CaptionSegmenter
from harmoclip.segment.readers import open_source
from harmoclip.segment.run import bad_path, segment_source
from harmoclip.segment.writers import LineWriter, ParquetWriter

CAPTIONS = ["A man in a red hat", "", 'two dogs, "big" ones', "“Café” sign — éé", "THREE ZEBRAS"]

COMMAND = "import typer; from harmoclip.cli.segment import segment; typer.run(segment)"


@pytest.fixture(scope="module")
def segmenter() -> CaptionSegmenter:
    return CaptionSegmenter()


def write_text(folder: Path) -> str:
    (folder / "in.txt").write_text("".join(f"{caption}\n" for caption in CAPTIONS), encoding="utf-8")
    return str(folder / "in.txt")


def write_jsonl(folder: Path) -> str:
    rows = [{"caption": caption, "id": i} for i, caption in enumerate(CAPTIONS)]
    (folder / "in.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return str(folder / "in.jsonl")


def write_csv(folder: Path) -> str:
    import csv

    with (folder / "in.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "caption"], *enumerate(CAPTIONS)])
    return str(folder / "in.csv")


def write_parquet(folder: Path) -> str:
    table = pyarrow.table({"id": list(range(len(CAPTIONS))), "caption": CAPTIONS})
    pyarrow.parquet.write_table(table, folder / "in.parquet")
    return str(folder / "in.parquet")


def write_coco(folder: Path) -> str:
    rows = [{"caption": caption, "id": i, "image_id": 7} for i, caption in enumerate(CAPTIONS)]
    (folder / "in.json").write_text(json.dumps({"annotations": rows, "images": []}))
    return str(folder / "in.json")


def write_shards(folder: Path) -> str:
    with webdataset.ShardWriter(str(folder / "in-%d.tar"), maxcount=3, verbose=0) as shards:
        for i, caption in enumerate(CAPTIONS):
            member = {"txt": caption} if i % 2 else {"json": {"caption": caption}}
            shards.write({"__key__": f"{i:04d}", **member})
    return str(folder / "in-{0..1}.tar")


def read(output: Path) -> list[dict]:
    return [json.loads(line) for line in output.read_text().splitlines()]


# webdataset leaves its shards open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "write", [write_text, write_jsonl, write_csv, write_parquet, write_coco, write_shards]
)
def test_every_input(tmp_path, segmenter, write):
    source = open_source(write(tmp_path), format=None, column="caption")
    assert source.total in (len(CAPTIONS), len(CAPTIONS) - 1, None)
    output = tmp_path / "out.jsonl"
    assert segment_source(source, output, segmenter, batch_size=2) == 0
    rows = read(output)
    assert [row["caption"] for row in rows] == CAPTIONS
    assert [row["index"] for row in rows] == list(range(len(CAPTIONS)))
    assert [phrase["text"] for phrase in rows[0]["phrases"]] == ["A man", "a red hat"]


def test_kept_fields(tmp_path, segmenter):
    output = tmp_path / "out.jsonl"
    source = open_source(write_csv(tmp_path), format=None, column="caption", keep=("id",))
    segment_source(source, output, segmenter)
    assert [row["id"] for row in read(output)] == ["0", "1", "2", "3", "4"]
    coco = tmp_path / "coco.jsonl"
    segment_source(open_source(write_coco(tmp_path), format=None, column="caption"), coco, segmenter)
    assert {(row["id"], row["image_id"]) for row in read(coco)} == {(i, 7) for i in range(5)}


def test_parquet_output(tmp_path, segmenter, monkeypatch):
    monkeypatch.setattr(ParquetWriter, "rows_per_part", 2)
    source = open_source(write_text(tmp_path), format=None, column="caption")
    output = tmp_path / "out.parquet"
    segment_source(source, output, segmenter, batch_size=3)
    (output / "part-000002.parquet").rename(output / "part-000002.tmp")
    segment_source(source, output, segmenter, batch_size=3)
    rows = pyarrow.parquet.read_table(output).to_pylist()
    assert [row["caption"] for row in rows] == CAPTIONS
    assert json.loads(rows[0]["phrases"])[0]["head"]["lemma"] == "man"


def test_bad_records_are_kept_aside(tmp_path, segmenter):
    lines = [
        b'{"caption": "a dog"}',
        b"{broken",
        b'{"text": "x"}',
        b'{"caption": 3}',
        b'{"caption": "\\ud800"}',
    ]
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"\n".join([*lines, b'{"caption": "a cat"}']) + b"\n")
    output = tmp_path / "out.jsonl"
    source = open_source(str(path), format=None, column="caption")
    assert segment_source(source, output, segmenter, batch_size=2) == 4
    assert [row["index"] for row in read(output)] == [0, 5]
    bad = read(bad_path(output))
    assert [row["index"] for row in bad] == [1, 2, 3, 4]
    assert [row["error"].split(":")[0] for row in bad][:2] == ["not JSON", "no field 'caption'; it has text"]
    assert bad[0]["raw"] == "{broken\n"


def test_bytes_that_are_no_text(tmp_path, segmenter):
    path = tmp_path / "in.txt"
    path.write_bytes(b"a dog\na \xff\xfe cat\na horse\n")
    output = tmp_path / "out.jsonl"
    source = open_source(str(path), format=None, column="caption")
    assert segment_source(source, output, segmenter) == 1
    assert [row["caption"] for row in read(output)] == ["a dog", "a horse"]
    assert read(bad_path(output))[0]["raw"].encode("utf-8", "surrogateescape") == b"a \xff\xfe cat"


@pytest.mark.parametrize("cut", range(0, 700, 37))
def test_goes_on_after_a_cut_at_any_byte(tmp_path, segmenter, cut):
    path = tmp_path / "in.jsonl"
    path.write_text(
        '{"caption": "a dog"}\nbad\n{"caption": "a red cat"}\nbad\n{"caption": "two cows"}\nbad\n'
    )
    source = open_source(str(path), format=None, column="caption")
    output = tmp_path / "out.jsonl"
    segment_source(source, output, segmenter, batch_size=2)
    whole, aside = output.read_bytes(), bad_path(output).read_bytes()
    output.write_bytes(whole[:cut])
    segment_source(source, output, segmenter, batch_size=2)
    assert output.read_bytes() == whole
    assert bad_path(output).read_bytes() == aside


def test_output_of_another_input(tmp_path, segmenter):
    output = tmp_path / "out.jsonl"
    segment_source(open_source(write_text(tmp_path), format=None, column="caption"), output, segmenter)
    (tmp_path / "other.txt").write_text("something\nelse\n" * 9)
    other = open_source(str(tmp_path / "other.txt"), format=None, column="caption")
    with pytest.raises(DataError, match="made from another input"):
        segment_source(other, output, segmenter)


def test_last_line_longer_than_a_block(tmp_path):
    writer = LineWriter(tmp_path / "out.jsonl")
    writer.write([{"index": 0, "caption": "x"}, {"index": 1, "caption": "y" * 200_000}])
    assert len(writer.last()["caption"]) == 200_000
    writer.close()


@pytest.mark.parametrize(
    ("name", "error"), [("in.xyz", InputError), ("no.txt", DataError), ("no.jsonl", DataError)]
)
def test_inputs_that_cannot_be_read(tmp_path, name, error):
    with pytest.raises(error):
        open_source(str(tmp_path / name), format=None, column="caption")


def test_missing_column(tmp_path):
    source = open_source(write_csv(tmp_path), format=None, column="text", keep=())
    with pytest.raises(DataError, match="no column 'text'; it has"):
        next(source.records())
    with pytest.raises(DataError, match="no column 'text'; it has"):
        open_source(write_parquet(tmp_path), format=None, column="text", keep=())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_column_that_is_nowhere(tmp_path, segmenter):
    for write in (write_jsonl, write_coco, write_shards):
        source = open_source(write(tmp_path), format=None, column="nowhere")
        with pytest.raises(DataError, match=r"None of the first \d records can be read; record 0: no "):
            segment_source(source, tmp_path / "out.jsonl", segmenter)
        assert not (tmp_path / "out.jsonl").exists()


def test_kept_field_that_is_nowhere(tmp_path, segmenter):
    source = open_source(write_jsonl(tmp_path), format=None, column="caption", keep=("idd",))
    with pytest.raises(DataError, match="'idd' that is to be kept"):
        segment_source(source, tmp_path / "out.jsonl", segmenter)
    with pytest.raises(DataError, match="no column 'idd'; it has 'id', 'caption'"):
        next(open_source(write_csv(tmp_path), format=None, column="caption", keep=("idd",)).records())


@pytest.mark.parametrize("change", [{"keep_all": True}, {"keep": ("id",)}, {"column": "id"}])
@pytest.mark.parametrize("finished", [True, False])
def test_goes_on_only_with_the_same_options(tmp_path, segmenter, change, finished):
    path, output = write_jsonl(tmp_path), tmp_path / "out.jsonl"
    segment_source(open_source(path, format=None, column="caption"), output, segmenter)
    lines = output.read_bytes().splitlines(keepends=True)
    output.write_bytes(b"".join(lines if finished else lines[:2]))
    options = {"column": "caption", "keep": ()} | {k: v for k, v in change.items() if k != "keep_all"}
    other = CaptionSegmenter(segmenter.nlp, keep_all="keep_all" in change)
    before = output.read_bytes()
    with pytest.raises(DataError, match=f"another option: {next(iter(change))} was"):
        segment_source(open_source(path, format=None, **options), output, other)
    assert output.read_bytes() == before


def test_no_file_for_bad_records_where_there_are_none(tmp_path, segmenter):
    output = tmp_path / "out.jsonl"
    segment_source(open_source(write_text(tmp_path), format=None, column="caption"), output, segmenter)
    assert not bad_path(output).exists()


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-8"])
def test_encodings(tmp_path, encoding):
    for name, text in (
        ("in.txt", "a dog\nune “café”\n"),
        ("in.tsv", "caption\na dog\nune “café”\n"),
        ("in.jsonl", '{"caption": "a dog"}\n{"caption": "une “café”"}\n'),
    ):
        (tmp_path / name).write_bytes(text.encode(encoding))
        records = open_source(str(tmp_path / name), format=None, column="caption").records()
        assert [record.caption for record in records] == ["a dog", "une “café”"]


def test_column_by_number(tmp_path):
    (tmp_path / "in.tsv").write_text("a dog\thttp://x\na cat\thttp://y\n")
    records = list(open_source(str(tmp_path / "in.tsv"), format=None, column="1", keep=("2",)).records())
    assert [(r.index, r.caption, r.kept["2"]) for r in records] == [
        (0, "a dog", "http://x"),
        (1, "a cat", "http://y"),
    ]
    with pytest.raises(DataError, match="no column '3'; it has '1', '2'"):
        next(open_source(str(tmp_path / "in.tsv"), format=None, column="3").records())
    (tmp_path / "pandas.csv").write_text("0,1\nx,a dog\n")
    assert [
        r.caption for r in open_source(str(tmp_path / "pandas.csv"), format=None, column="1").records()
    ] == ["a dog"]


@pytest.mark.parametrize("format", ["txt", "text"])
def test_format_by_ending(tmp_path, format):
    (tmp_path / "captions").write_text("a dog\n")
    source = open_source(str(tmp_path / "captions"), format=format, column="caption")
    assert [record.caption for record in source.records()] == ["a dog"]


@pytest.mark.parametrize(("path", "format"), [("captions", "word"), ("captions", None), ("-", "parquet")])
def test_formats_that_are_none(path, format):
    with pytest.raises(InputError, match="text, jsonl, csv"):
        open_source(path, format=format, column="caption")


@pytest.mark.parametrize(
    ("options", "text"), [([], "a dog\na red cat\n"), (["--format", "jsonl"], '{"caption": "a dog"}\n' * 2)]
)
def test_standard_input_goes_on_too(tmp_path, options, text):
    output = tmp_path / "out.jsonl"
    command = [sys.executable, "-c", COMMAND, "-", str(output), *options]
    for _ in range(2):
        subprocess.run(command, input=text.encode(), check=True)
        assert len(read(output)) == 2
        output.write_bytes(output.read_bytes()[:-5])


def test_output_name(tmp_path, segmenter):
    source = open_source(write_text(tmp_path), format=None, column="caption")
    with pytest.raises(InputError, match=r"\.jsonl or \.parquet"):
        segment_source(source, tmp_path / "out.csv", segmenter)


def test_command(tmp_path):
    import typer

    from harmoclip.cli.segment import segment

    app = typer.Typer()
    app.command()(segment)
    output = str(tmp_path / "out.jsonl")
    run = CliRunner().invoke(app, [write_jsonl(tmp_path), output, "--keep", "id", "--json"])
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout) == {"output": output, "bad": 0}
    assert [row["id"] for row in read(tmp_path / "out.jsonl")] == [0, 1, 2, 3, 4]


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_killed_again_and_again(tmp_path, workers):
    pipeline = tmp_path / "pipeline"
    nlp = spacy.blank("en")
    nlp.add_pipe("parser").add_label("det")
    nlp.initialize()
    nlp.to_disk(pipeline)
    total = 20_000
    (tmp_path / "in.txt").write_text("".join(f"a man number {i} on a horse\n" for i in range(total)))
    output = tmp_path / "out.jsonl"
    arguments = [
        str(tmp_path / "in.txt"),
        str(output),
        "--pipeline",
        str(pipeline),
        "--workers",
        str(workers),
    ]
    kills = 0
    while True:
        process = subprocess.Popen([sys.executable, "-c", COMMAND, *arguments], stdout=subprocess.DEVNULL)
        before = output.stat().st_size if output.exists() else 0
        while process.poll() is None and (
            kills > 2 or not output.exists() or output.stat().st_size == before
        ):
            time.sleep(0.05)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            kills += 1
            continue
        assert process.returncode == 0
        break
    assert kills >= 2
    rows = read(output)
    assert [row["index"] for row in rows] == list(range(total))
