"""A warning that our code causes fails a test; a deprecation inside somebody else's package does not."""

import importlib.util
import sys
import warnings

import pytest

from tests.helpers.warning_policy import ours_are_errors

THEIRS = """
import warnings
from functools import partial, wraps

compiled = partial(warnings.warn, "use new", DeprecationWarning)

def old(stacklevel=1):
    warnings.warn("use new", DeprecationWarning, stacklevel=stacklevel)

def deprecated(function):
    @wraps(function)
    def wrapper():
        warnings.warn("use new", FutureWarning, stacklevel=2)
    return wrapper

def logged(function):
    @wraps(function)
    def wrapper():
        return function()
    return wrapper

@logged
@deprecated
def decorated():
    pass
"""
OTHERS = """
import theirs

def uses_old():
    theirs.old(stacklevel=2)

def uses_decorated():
    theirs.decorated()

def uses_compiled():
    theirs.compiled()

def runs(function):
    function()
"""


@pytest.fixture
def packages(tmp_path, monkeypatch):
    """Somebody's package, which deprecates functions, and another one, which calls them."""
    found = []
    for name, text in (("theirs", THEIRS), ("others", OTHERS)):
        (tmp_path / f"{name}.py").write_text(text)
        spec = importlib.util.spec_from_file_location(name, tmp_path / f"{name}.py")
        found.append(importlib.util.module_from_spec(spec))
        monkeypatch.setitem(sys.modules, name, found[-1])
        spec.loader.exec_module(found[-1])
    return found


def test_a_warning_of_our_own_fails():
    with pytest.raises(UserWarning, match="mine"):
        warnings.warn("mine", stacklevel=1)


def test_a_deprecated_call_that_we_make_fails(packages):
    theirs, others = packages
    for call in (
        theirs.old,
        theirs.compiled,
        lambda: theirs.old(2),
        theirs.decorated,
        lambda: others.runs(lambda: theirs.old(2)),
    ):
        with pytest.raises(Warning, match="use new"):
            call()


def test_a_deprecated_call_inside_another_package_does_not(packages):
    _, others = packages
    others.uses_old()
    others.uses_decorated()
    others.uses_compiled()
    with pytest.warns(DeprecationWarning, match="use new"):  # it is still given
        others.uses_old()


def test_outside_of_tests_warnings_are_as_python_shows_them(packages):
    before = warnings.showwarning
    with ours_are_errors():
        assert warnings.showwarning is not before
    assert warnings.showwarning is before
