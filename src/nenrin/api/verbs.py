"""The long verbs: what each piece of work calls, from plain values, in this process or in the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from nenrin.api.unfinished import Asked
from nenrin.api.work import Progress
from nenrin.core.errors import NenrinError, NotFoundError, UnavailableError
from nenrin.project.label_texts import new_label_texts

if TYPE_CHECKING:
    from nenrin.platform import Platform

Verb = Callable[["Platform", Asked, Progress], Any]


def do(platform: Platform, asked: Asked, progress: Progress) -> Any:
    """Do what was asked; gives its JSON-able result.

    Raises:
        NotFoundError: another version of nenrin asked for it, and this one has no such verb.
    """
    verb = VERBS.get(asked.verb)
    if verb is None:
        raise NotFoundError(
            f"there is no long verb {asked.verb!r}",
            hint="the folder was used by another version of nenrin: ask for it in this one's words",
        )
    return verb(platform, asked, progress)


def _run(platform: Platform, asked: Asked, progress: Progress) -> Any:
    done = _online(platform, asked, progress, platform.projects.run(asked.environment, progress))
    return _scored(platform, asked, progress, done)


def _apply(platform: Platform, asked: Asked, progress: Progress) -> Any:
    platform.probe_store()
    done = _online(platform, asked, progress, platform.projects.apply(asked.environment, progress))
    return _scored(platform, asked, progress, done)


def _online(
    platform: Platform, asked: Asked, progress: Progress, done: dict[str, Any]
) -> dict[str, Any]:
    """Bring what is served now into the online store; one that is away takes nothing from what was done."""
    try:
        platform.materialise(asked.environment, progress)
    except UnavailableError as error:
        note = f"{error.message} ({error.where}): planes answer by what it held, until nenrin up fills it"
        return {**done, "notes": [*done["notes"], note]}
    return done


def _scored(
    platform: Platform, asked: Asked, progress: Progress, done: dict[str, Any]
) -> dict[str, Any]:
    """Write the scores that are due; what keeps one from it takes nothing from what was done."""
    try:
        return {**done, "scores": platform.write_scores(asked.environment, progress)}
    except NenrinError as error:
        note = f"no scores: {error.message} ({error.where}); {error.hint}"
        return {**done, "scores": [], "notes": [*done.get("notes", []), note]}


def _backtest(platform: Platform, asked: Asked, progress: Progress) -> Any:
    return platform.loop.backtest(**asked.values, progress=progress)


def _backup(platform: Platform, asked: Asked, progress: Progress) -> Any:
    return platform.backups.make(Path(asked.values["to"]), progress)


def _load(platform: Platform, asked: Asked, progress: Progress) -> Any:
    name = asked.values["name"]
    project = platform.projects.load()
    declared = project.datasets
    if name not in declared:
        raise NotFoundError(
            f"the project file declares no dataset {name!r}",
            where=name,
            hint=f"it declares {', '.join(declared) or 'none'}",
        )
    data = platform.data
    before = data.versions(asked.environment, name)
    version = data.load(
        asked.environment,
        declared[name],
        platform.calendar.now(),
        source=Path(asked.file) if asked.file else None,
        progress=progress,
        backfill=asked.values["backfill"],
    )
    latest = before[-1] if before else None
    notes = new_label_texts(data, declared[name], project.models.values(), latest, version)
    return {**msgspec.to_builtins(version), "notes": notes}


def _prune(platform: Platform, asked: Asked, progress: Progress) -> Any:
    progress("prune", 0, 0)
    now, keep = platform.calendar.now(), asked.values["keep"]
    return platform.pruning.prune(
        asked.environment,
        now,
        before=None if keep is None else now - keep,
        budget=asked.values["budget"],
        dry_run=asked.values["dry_run"],
    )


VERBS: Mapping[str, Verb] = {
    "run": _run,
    "apply": _apply,
    "backtest": _backtest,
    "backup": _backup,
    "load": _load,
    "prune": _prune,
}
