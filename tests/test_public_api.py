"""The public surface: what there is, under both names, with a docstring each."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import hud
import hudtrace

ROOT = Path(__file__).parent.parent


def test_all_is_sorted_and_resolves() -> None:
    """Every public name is there, and the list is in order."""
    assert hudtrace.__all__ == sorted(hudtrace.__all__)
    for name in hudtrace.__all__:
        assert getattr(hudtrace, name) is not None


def test_both_names_give_the_same_objects() -> None:
    """`hud.X` is `hudtrace.X`, the submodules included."""
    for name in (*hudtrace.__all__, "eval"):
        assert getattr(hud, name) is getattr(hudtrace, name)
    for module in ("errors", "testing"):
        ours = importlib.import_module(f"hudtrace.{module}")
        theirs = importlib.import_module(f"hud.{module}")
        for name in ours.__all__:
            assert getattr(theirs, name) is getattr(ours, name)
    assert "Environment" in dir(hud)


def test_a_star_import_does_not_shadow_eval() -> None:
    """`from hud import *` leaves the builtin `eval` alone."""
    names: dict[str, object] = {}
    exec("from hud import *", names)
    assert "eval" not in names
    assert names["Environment"] is hudtrace.Environment


def test_unknown_names() -> None:
    """A name that does not exist is an AttributeError that names the package."""
    for package in (hud, hudtrace):
        name = f"module '{package.__name__}' has no attribute 'nothing'"
        with pytest.raises(AttributeError, match=name):
            package.nothing  # noqa: B018


def test_public_names_have_docstrings() -> None:
    """Every public name and its public methods say what they do."""
    for name in (*hudtrace.__all__, "eval"):
        thing = getattr(hudtrace, name)
        assert inspect.getdoc(thing), name
        if inspect.isclass(thing) and thing.__module__.startswith("hudtrace"):
            for member, value in vars(thing).items():
                if callable(value) and not member.startswith("_"):
                    assert inspect.getdoc(value), f"{name}.{member}"


def test_user_code_type_checks() -> None:
    """Code as users write it passes a strict type checker."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "tests/typing"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if "No module named mypy" in done.stderr:
        return  # `make check` has it
    assert done.returncode == 0, done.stdout
