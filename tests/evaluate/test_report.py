"""The report of three models: page, CSV, LaTeX and model card tell the same numbers."""

import csv
import json
from html.parser import HTMLParser

import pytest
import yaml

import harmoclip
from harmoclip.evaluate.columns import best_of
from harmoclip.evaluate.comparison import Comparison
from harmoclip.evaluate.evaluated import Evaluated
from harmoclip.evaluate.metrics import Metric, Metrics
from harmoclip.evaluate.page import html_page
from harmoclip.evaluate.registry import tasks_of
from harmoclip.evaluate.report import write_report
from harmoclip.evaluate.tables import csv_table, latex_table, model_card
from harmoclip.evaluate.task import Request
from tests.helpers.small_world import small_encoder


def metrics(r1, rank, count=10):
    return Metrics(
        [Metric("r1", r1, chance=0.1), Metric("median", rank, "rank"), Metric("images", count, "count")]
    )


THREE = Evaluated(
    "a & b",
    {
        "retrieval, x": {
            "before": metrics(0.25, 4),
            "after": metrics(0.5, 2),
            "other_model": metrics(0.4, 2),
        },
        "boxes <x>": {"before": metrics(0.1, 9), "after": metrics(0.3, 7)},
    },
    {
        "retrieval, x": {"before": 0.25, "after": 0.5, "other_model": 0.4},
        "boxes <x>": {"before": 0.1, "after": 0.3},
    },
)


class Tables(HTMLParser):
    """Every table's cells with their attributes, and all addresses."""

    def __init__(self, text):
        super().__init__()
        self.tables, self.addresses, self._cell = [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.addresses += [attrs[key] for key in ("src", "href") if key in attrs]
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self._cell = [attrs, ""]
            self.tables[-1][-1].append(self._cell)

    def handle_data(self, data):
        if self._cell is not None:
            self._cell[1] += data

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._cell = None


def test_the_page_has_an_overview_and_marks_the_best():
    overview, retrieval, boxes = Tables(html_page(THREE)).tables
    assert [[text for _, text in row] for row in overview] == [
        ["model", "retrieval, x", "boxes <x>"],
        ["before", "25.0 %", "10.0 %"],
        ["after", "50.0 %", "30.0 %"],
        ["other_model", "40.0 %", ""],
    ]
    assert [text for row in overview for attrs, text in row if attrs.get("class") == "best"] == [
        "50.0 %",
        "30.0 %",
    ]
    assert [text for _, text in retrieval[1]] == ["r1", "25.0 %", "50.0 %", "40.0 %", "+25.0 %", "10.0 %"]
    assert [text for row in retrieval for attrs, text in row if attrs.get("class") == "best"] == [
        "50.0 %",
        "2.0",
        "2.0",
    ]
    assert boxes[2][3] == [{"class": "up"}, "-2.0"]  # a lower rank is better
    assert overview[1][1][0]["data-value"] == "0.25"


def test_the_page_needs_no_network_and_no_other_file(tmp_path):
    evaluated = Evaluated("t", THREE.scores, THREE.headlines, figures={"a figure": b"png"})
    page = write_report(tmp_path, evaluated).read_text()
    assert Tables(page).addresses == ["data:image/png;base64,cG5n"]
    assert "http" not in page
    assert 'name="viewport" content="width=device-width' in page
    assert page.count('<div class="scroll"><table>') == 3  # wide tables scroll on their own


def test_the_best_of_models():
    columns = {"a": metrics(0.5, 2), "b": metrics(0.5, 3)}
    assert best_of(columns, "r1") == {"a", "b"}
    assert best_of(columns, "median") == {"a"}
    assert best_of(columns, "images") == set()
    assert best_of({"a": columns["a"]}, "r1") == set()


def test_csv_has_every_value_in_its_unit():
    rows = list(csv.DictReader(csv_table(THREE).splitlines()))
    assert len(rows) == 5 * 3
    expected = {
        "task": "retrieval, x",
        "metric": "r1",
        "unit": "fraction",
        "model": "after",
        "value": "0.5",
        "chance": "0.1",
    }
    assert expected in rows


def test_latex_has_a_row_a_model_and_the_best_in_bold():
    lines = latex_table(THREE).splitlines()
    assert lines[0] == r"\begin{tabular}{lrr}"
    assert r"other\_model & 40.0 &  \\" in lines
    assert r"after & \textbf{50.0} & \textbf{30.0} \\" in lines


def test_the_hub_reads_the_card():
    hub = pytest.importorskip("huggingface_hub")
    text = model_card(THREE)
    card = hub.ModelCard(text)
    found = {(r.dataset_name, r.metric_type): r.metric_value for r in card.data.eval_results}
    assert found["retrieval, x", "r1"] == 0.5
    assert found["boxes <x>", "median"] == 7
    assert yaml.safe_load(text.split("---")[1])["library_name"] == "harmoclip"
    assert "| r1 | 25.0 % | 50.0 % | 40.0 % | +25.0 % | 10.0 % |" in text


def test_three_models_side_by_side(tmp_path):
    import torch

    encoder = small_encoder()
    after = {
        name: value + 0.05 * torch.randn_like(value)
        for name, value in encoder.harmo.model.state_dict().items()
    }
    tasks = tasks_of("scenes", Request("4"))[:2]
    evaluated = Comparison(encoder, after, {"third": small_encoder()}).evaluate("three", tasks)
    assert evaluated.models == ["before", "after", "third"]
    assert evaluated.scores["retrieval, scenes"]["third"] == evaluated.scores["retrieval, scenes"]["before"]
    assert "both sides of every model" in evaluated.figures
    page = write_report(tmp_path, evaluated)
    kept = json.loads((tmp_path / "report.json").read_text())
    assert kept["headlines"] == {task: dict(values) for task, values in evaluated.headlines.items()}
    assert kept["version"] == harmoclip.__version__
    assert "third" in page.read_text()
