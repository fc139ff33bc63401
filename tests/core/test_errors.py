"""The error tree: codes, shapes, and the way across processes."""

from __future__ import annotations

import pickle

import pytest

from nenrin.core import errors
from nenrin.core.errors import MissingExtraError, NenrinError, ProjectError

LEAVES = sorted(NenrinError.__subclasses__(), key=lambda kind: kind.__name__)


def test_codes_are_unique_and_exit_codes_are_failures() -> None:
    assert len({kind.code for kind in LEAVES}) == len(LEAVES)
    assert all(0 < kind.exit_code < 64 and 400 <= kind.status < 600 for kind in LEAVES)


@pytest.mark.parametrize("kind", LEAVES)
def test_the_tree_is_drawn_as_it_is(kind: type[NenrinError]) -> None:
    (line,) = [
        line for line in (errors.__doc__ or "").splitlines() if f"─ {kind.__name__} " in line
    ]
    assert line.endswith(f"{kind.status}, exit {kind.exit_code}")


@pytest.mark.parametrize("kind", LEAVES)
def test_errors_cross_processes(kind: type[NenrinError]) -> None:
    error = pickle.loads(pickle.dumps(kind("wrong", hint="do this", where="project.py:3")))
    assert type(error) is kind
    assert str(error) == "wrong"
    assert error.as_dict() == {
        "code": kind.code,
        "message": "wrong",
        "where": "project.py:3",
        "hint": "do this",
    }


def test_a_missing_extra_says_how_to_install_it() -> None:
    error = MissingExtraError.of("optuna", "tune")
    assert error.hint == 'pip install "nenrin[tune]"'


def test_every_error_can_be_caught_at_once() -> None:
    with pytest.raises(NenrinError):
        raise ProjectError("wrong")
