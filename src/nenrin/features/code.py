"""What a function's code tells before it is run: what tracing could not see, the columns it names."""

from __future__ import annotations

import dis
from collections.abc import Iterator, Mapping
from types import CodeType

from nenrin.features.declare import ViewFunction
from nenrin.features.kinds import Kind
from nenrin.features.values import UntraceableError


def check_code(function: ViewFunction) -> None:
    """Refuse to trace what tracing could not see: tests for None or for a type, and caught errors.

    A traced value is never None, an ``int`` or an error, so such code would silently take one branch.

    Raises:
        UntraceableError: with the line of the test.
    """
    for code in _codes(function):
        line = code.co_firstlineno
        for step in dis.get_instructions(code):
            line = (step.positions and step.positions.lineno) or line
            found = _unseen(step)
            if found is not None:
                raise UntraceableError(
                    f"{found[0]} cannot be seen by tracing",
                    hint=found[1],
                    where=f"{code.co_filename}:{line}",
                )


def named_columns(function: ViewFunction, known: Mapping[str, Kind]) -> dict[str, Kind]:
    """The columns whose names appear in a function, or in functions of its file that it names."""
    names: set[str] = set()
    for code in _codes(function):
        names.update(code.co_names)
        names.update(const for const in code.co_consts if isinstance(const, str))
    return {name: kind for name, kind in known.items() if name in names}


def _unseen(step: dis.Instruction) -> tuple[str, str] | None:
    if step.opname == "IS_OP" or step.opname.endswith(("IF_NONE", "IF_NOT_NONE")):
        return "`is`", "use .is_null() or .fill_null(0)"
    if step.opname.startswith("LOAD_GLOBAL") and step.argval in ("isinstance", "type"):
        return f"{step.argval}()", "columns keep their type: no test is needed"
    if step.opname == "PUSH_EXC_INFO":
        return "`try` or `with`", "no operator raises: see the table in docs/features.md"
    return None


def _codes(function: ViewFunction) -> Iterator[CodeType]:
    """The code of a function, of functions within it, and of functions of its file that it names."""
    waiting: list[CodeType] = [function.__code__]
    seen: set[CodeType] = set()
    while waiting:
        code = waiting.pop()
        if code in seen or code.co_filename != function.__code__.co_filename:
            continue
        seen.add(code)
        yield code
        waiting.extend(const for const in code.co_consts if isinstance(const, CodeType))
        called = (
            getattr(function.__globals__.get(name), "__code__", None) for name in code.co_names
        )
        waiting.extend(found for found in called if isinstance(found, CodeType))
