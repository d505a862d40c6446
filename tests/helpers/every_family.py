"""A pytest plugin for the tests of towers: a small model for each; those that repeat a kind are slow."""

from pathlib import Path

import pytest

from tests.helpers import small

HERE = Path(__file__).parents[1] / "towers"


def pytest_generate_tests(metafunc):
    """Run a test that asks for `name`, and lists no names itself, on every small model."""
    if metafunc.definition.path.parent != HERE:
        return
    marks = metafunc.definition.iter_markers("parametrize")
    listed = [
        name for mark in marks for name in ([mark.args[0]] if isinstance(mark.args[0], str) else mark.args[0])
    ]
    if "name" in metafunc.fixturenames and "name" not in listed:
        metafunc.parametrize("name", small.ALL)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """One name of each distinct kind is enough for an ordinary run."""
    for item in (item for item in items if item.path.parent == HERE):
        name = getattr(item, "callspec", None) and item.callspec.params.get("name")
        if name and name not in (*small.DISTINCT, *small.PARTS):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def given(name):
    """The small model of that name, or that has the part of that name, two images and two captions."""
    if library := small.missing(name):
        pytest.skip(f"the installed {library} is too old for {name}")
    return small.small(small.PARTS.get(name, name))
