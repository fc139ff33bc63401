"""What went wrong in a user's function, as people want to read it: their own lines first."""

from __future__ import annotations

import re
import sys
import sysconfig
import traceback
from pathlib import Path

from nenrin.core.errors import NenrinError, StepError

_DUMPED = re.compile(r'^  File "(?P<file>.+)", line (?P<line>\d+) in ', re.MULTILINE)
_PACKAGE = str(Path(__file__).parents[1])
_OTHERS = tuple(
    {
        *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")),
        sys.prefix,
        sys.base_prefix,
        _PACKAGE,
        "<",
    }
)


def explained(error: BaseException, name: str, project: Path | None) -> Exception:
    """What a task's function raised, as the error that whoever waits for it gets.

    Errors of nenrin's stay what they are; anything else becomes a ``StepError`` at the user's last line.

    Args:
        error: what was raised.
        name: the task's.
        project: the folder whose frames are the user's own; None: whatever is not installed.
    """
    text = told(error, project)
    if isinstance(error, NenrinError):
        if isinstance(error, StepError) and not error.trace:
            error.trace = text
        return error
    return StepError.of(
        error,
        f"{name} raised {type(error).__name__}: {error}",
        hint="see the line",
        where=own_line(error, project),
        trace=text,
    )


def told(error: BaseException, project: Path | None) -> str:
    """The traceback as text: the user's own frames first, then all of it."""
    whole = "".join(traceback.format_exception(error))
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if is_own(frame, project)]
    if not own:
        return whole
    lines = ["In the project's own code (most recent call last):\n"]
    lines += traceback.format_list(own)
    lines += traceback.format_exception_only(error)
    return "".join([*lines, "\nWhole traceback:\n", whole])


def own_line(error: BaseException, project: Path | None) -> str:
    """``file:line`` of the user's last frame that the error came through, or that its cause did; or empty."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if is_own(frame, project)]
    if own:
        return f"{own[-1].filename}:{own[-1].lineno}"
    return "" if error.__cause__ is None else own_line(error.__cause__, project)


def standing(dumped: str, project: Path | None) -> str:
    """``file:line`` where the user's code stood, from a stack that ``faulthandler`` wrote; or empty."""
    for found in _DUMPED.finditer(dumped):
        if _is_own(found["file"], project):
            return f"{found['file']}:{found['line']}"
    return ""


def is_own(frame: traceback.FrameSummary, project: Path | None) -> bool:
    """Whether a frame is of the user's code."""
    return _is_own(frame.filename, project)


def _is_own(file: str, project: Path | None) -> bool:
    if project is not None:
        return file.startswith((f"{project}/", f"{project.resolve()}/"))
    return not file.startswith(_OTHERS)
