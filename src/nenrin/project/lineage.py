"""The lineage both ways: from a prediction down to the data, from a load up to what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from nenrin.core.calendar import Calendar, stands_at
from nenrin.core.environment import is_backtest
from nenrin.core.errors import NenrinError, NotFoundError
from nenrin.core.instants import iso
from nenrin.core.unit import Units
from nenrin.data.service import DataService
from nenrin.data.versions import DatasetVersion
from nenrin.gates.service import GatesService
from nenrin.loop.journal import LoopStates
from nenrin.loop.state import State
from nenrin.project import came_of
from nenrin.project.ancestry import Ancestry
from nenrin.project.explaining import Explaining
from nenrin.project.labelled import Closing, label_of
from nenrin.project.made_from import Loads, made_from
from nenrin.project.replay import ProjectReplay, Revisions
from nenrin.registry.service import RegistryService
from nenrin.serving.logged import Tally, answered_by, find_prediction, tally
from nenrin.serving.masks import Masks
from nenrin.serving.ports import Deployments
from nenrin.serving.prediction import Prediction, masked
from nenrin.serving.router import FORMER
from nenrin.serving.spans import spans

PREFIX = "prediction-"


class Lineage:
    """Walks from what is served to what it was made from, and back.

    Args:
        predictions: the folder of the prediction log.
        replay: reads earlier revisions, and has what remembers steps.
        revisions: keeps the project's.
        states: the loop's memory, which knows when blocks close.
        explaining: takes answers apart.
        others: the rooms' services and ports.
    """

    def __init__(
        self,
        predictions: Path,
        replay: ProjectReplay,
        revisions: Revisions,
        *,
        registry: RegistryService,
        gates: GatesService,
        data: DataService,
        units: Units,
        states: LoopStates,
        explaining: Explaining,
        calendar: Calendar,
        deployments: Deployments,
    ) -> None:
        self._predictions = predictions
        self._masks = Masks(predictions)
        self._deployments = deployments
        self._replay = replay
        self._revisions = revisions
        self._registry = registry
        self._gates = gates
        self._data = data
        self._units = units
        self._states = states
        self._explaining = explaining
        self._calendar = calendar

    def prediction(self, environment: str, what: str) -> dict[str, Any]:
        """Who answered a logged prediction, what moved it, what came of it, and the chain down to the data.

        Raises:
            NotFoundError: the log has no such id; says what became of the predictions that it lacks.
        """
        found, counted = self.logged(environment, what), tally(self._predictions)
        here = self._reading(self._home(environment, found))
        moved_by = self._explaining.begin(here, found)  # in a worker, while the rest is read
        answered = [found.version, *dict.fromkeys(part.version for part in found.members)]
        return {
            "what": "prediction",
            "environment": here.environment,
            "prediction": found.id,
            "deployment": found.deployment,
            "answered by": _answered_by(found),
            "asked": iso(found.asked),
            "answered": iso(found.at),
            "key": found.key,
            "row": found.row,
            "features": found.features,
            "answer": found.answer,
            "versions": [here.of(each) for each in answered],
            "label": self._label(here, found),
            "log": msgspec.to_builtins(counted),
            "moved by": moved_by(),
        }

    def logged(self, environment: str, what: str) -> Prediction:
        """A logged prediction, without what is personal by now.

        Raises:
            NotFoundError: as :meth:`prediction`.
        """
        found = find_prediction(self._predictions, what)
        if found is None:
            raise _not_logged(what, tally(self._predictions))
        with self._units.read(environment) as unit:
            deployment = self._deployments.get(unit, found.deployment)
        return found if deployment is None else masked(found, deployment, self._masks)

    def version(self, environment: str, what: str) -> dict[str, Any] | None:
        """What a version was made from, and what came of it; None where there is none of that id."""
        here = self._reading(environment)
        if what not in here.versions:
            return None
        return {
            "what": "version",
            "environment": environment,
            **here.of(what),
            "verdicts": came_of.verdicts_on(here.verdicts, what),
            "rings": came_of.rings_of(here.events, what),
            "held by": came_of.held_by(list(here.versions.values()), here.events, what),
            "served": [came_of.served(span) for span in spans(here.events, what)],
            "answered": _counted(self._predictions, what),
            "taken back": came_of.taken_back(here.events, what),
            "events": came_of.about(here.events, what),
        }

    def load(self, environment: str, what: str) -> dict[str, Any] | None:
        """A load of a dataset: what was trained on it, what read it; None where there is none of that id."""
        loads = self._data.versions(environment)
        found = next((load for load in loads if load.id == what), None)
        if found is None:
            return None
        return {
            "what": "data version",
            "environment": environment,
            "version": found.id,
            "dataset": found.dataset,
            "number": found.number,
            "rows": found.rows,
            "added": found.added,
            "changed": found.changed,
            "loaded": iso(found.at),
            "known until": iso(found.bound),
            "content": found.manifest,
            **_neighbours(found, loads),
            **self._trained(environment, found),
            "steps": [
                {"step": step.step, "at": iso(step.at), "why": step.why, "output": step.output}
                for step in self._replay.engine(environment).readers(found.manifest)
            ],
        }

    def _trained(self, environment: str, load: DatasetVersion) -> dict[str, Any]:
        """The versions of this environment that were trained on a load, and how many of each other's."""
        loads = Loads(self._data, [environment])
        here = self._registry.list(environment)
        fits = loads.trained_on(load, here)
        elsewhere = {
            other: len(loads.trained_on(load, self._registry.list(other)))
            for other in self._units.environments()
            if other != environment
        }
        return {
            "trained": [
                {
                    "version": fit.id,
                    "model": fit.name,
                    "recipe": (made := made_from(fit.parents)).recipe,
                    "look": made.look,
                    "status": fit.status,
                    "held by": [holder.id for holder in here if fit.id in holder.parents],
                }
                for fit in fits
            ],
            "trained elsewhere": {name: count for name, count in elsewhere.items() if count},
        }

    def _label(self, here: Ancestry, found: Prediction) -> dict[str, Any]:
        """The prediction's label, or why it cannot be looked for."""
        version = here.versions.get(found.version)
        try:
            revision = here.revision(version.revision if version else "")
            project = self._replay.unpacked(revision)
            model = project.deployment(found.deployment).model
            closing = self._closing(here.environment, found.deployment)
            return label_of(self._data, here.environment, model, found, closing, self._masks)
        except NenrinError as error:
            return {"state": "not looked for", "says": error.message}

    def _closing(self, environment: str, deployment: str) -> Closing:
        with self._units.read(environment) as unit:
            state = self._states.get(unit, deployment)
        now = self._calendar.now()
        end = self._replay.data_end(environment)
        stands = None if end is None else stands_at(end, now)
        settle = None if state is None else State.loads(state).settle
        return Closing(settle=settle, now=now if stands is None else stands)

    def _home(self, environment: str, found: Prediction) -> str:
        """The environment that has the version: the one asked for, else a live one."""
        others = sorted(self._units.environments(), key=lambda name: (is_backtest(name), name))
        for each in dict.fromkeys((environment, *others)):
            if any(version.id == found.version for version in self._registry.list(each)):
                return each
        return environment

    def _reading(self, environment: str) -> Ancestry:
        return Ancestry(
            environment,
            self._revisions,
            registry=self._registry,
            gates=self._gates,
            data=self._data,
            units=self._units,
        )


def _role(found: Prediction) -> str:
    if found.variant < 0:
        return "former champion" if found.variant == FORMER else "declared constant"
    return "challenger" if found.variant else "champion"


def _answered_by(found: Prediction) -> dict[str, Any]:
    recalibration = found.recalibration
    return {
        "version": found.version,
        "variant": found.variant,
        "role": _role(found),
        "forced": found.forced,
        "instead of": found.instead_of or None,
        "members": msgspec.to_builtins(found.members),
        "recalibration": (
            None if recalibration is None else {"a": recalibration[0], "b": recalibration[1]}
        ),
    }


def _counted(folder: Path, version: str) -> dict[str, Any]:
    """How many logged predictions a version answered."""
    found = answered_by(folder, version)
    return {
        "alone": found.alone,
        "as a member": found.shared,
        "first": None if found.first is None else iso(found.first),
        "last": None if found.last is None else iso(found.last),
    }


def _neighbours(load: DatasetVersion, loads: Sequence[DatasetVersion]) -> dict[str, Any]:
    """The loads of the dataset before and after; each holds the rows of those before it."""
    near = {each.number - load.number: each.id for each in loads if each.dataset == load.dataset}
    return {"before": near.get(-1), "after": near.get(1)}


def _not_logged(what: str, counted: Tally) -> NotFoundError:
    if not counted.issued:
        return NotFoundError(
            "no prediction has been logged in this folder",
            hint="nenrin up answers requests and logs them; each answer carries its id",
            where=what,
        )
    lacks = [
        f"{count:,} {word}"
        for count, word in (
            (counted.waiting, "not written yet"),
            (counted.dropped, "dropped because the disk was too slow or refused"),
            (counted.lost, "lost by a kill"),
            (counted.removed, "removed as too old"),
        )
        if count
    ]
    lacking = f"; {', '.join(lacks)}" if lacks else ", and lacks none"
    holds = counted.written - counted.removed
    return NotFoundError(
        f"the log has no {what}: it holds {holds:,} of {counted.issued:,} predictions{lacking}",
        hint="an answer carries its id: `ids` of /invocations, the output `prediction_id` of v2 "
        "(nenrin deployments show NAME); a new one is written within a second",
        where=what,
    )
