"""Progress of long work on the standard error: bars on a terminal, lines elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.text import Text

from nenrin.cli.console import err

_SHOWN = 4  # the newest stages; a screen is not to be filled with what is done


class Shown:
    """Call it with each report of progress; a context manager that clears up after itself."""

    def __init__(self) -> None:
        self._live = err.is_terminal
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=28),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
            console=err,
            transient=False,
        )
        self._tasks: dict[str, TaskID] = {}
        self._quarters: dict[str, int] = {}

    def __call__(self, said: dict[str, Any]) -> None:
        """One report: ``stage``, ``done``, ``total``, ``note``; or a line: ``step``, ``text``."""
        if "text" in said:
            self._written(said["step"], said["text"])
            return
        stage, done, total, note = (said[key] for key in ("stage", "done", "total", "note"))
        if stage not in self._tasks:
            self._tasks[stage] = self._bars.add_task(stage, total=None, note="")
            for task in list(self._tasks.values())[:-_SHOWN]:
                self._bars.update(task, visible=False)
        if not self._live:
            self._line(stage, done, total, note)
        self._bars.update(self._tasks[stage], completed=done, total=total or None, note=note)

    def _written(self, step: str, text: str) -> None:
        """What a step of one's own wrote; libraries say much while they train, which the logs keep."""
        if step != "tune" and ":" not in step:
            self._bars.console.print(Text.assemble((f"{step} | ", "dim"), text))

    def _line(self, stage: str, done: int, total: int, note: str) -> None:
        """A line when a stage begins and after every quarter of it."""
        quarter = 4 * done // total if total else 0
        if quarter != self._quarters.get(stage):
            self._quarters[stage] = quarter
            err.print(Text(f"{stage} {25 * quarter} %  {note}".rstrip()))

    def __enter__(self) -> Self:
        if self._live:
            self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live:
            self._bars.stop()
