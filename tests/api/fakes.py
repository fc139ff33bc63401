"""A platform whose rooms answer from memory, and keep what they were asked."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import polars as pl

from nenrin.core.errors import (
    ConflictError,
    IntegrityError,
    NotFoundError,
    ProjectError,
    RefusedError,
    StepError,
)
from nenrin.core.settings import Settings
from nenrin.loop.maturity.assessing import assess
from nenrin.loop.maturity.facts import Facts
from nenrin.pipelines.logs import StepLogs
from nenrin.serving.signature import RequestSignature

Progress = Callable[..., None]


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a dataset's version that the API looks at."""

    id: str
    dataset: str
    number: int
    rows: int
    added: int = 0
    changed: int = 0
    unchanged: int = 0
    bound: int = 1_356_998_400_000_000
    manifest: str = "a" * 64
    at: int = 1_356_998_400_000_000


class Units:
    def environments(self) -> list[str]:
        return ["dev"]


class Projects:
    """``gate`` holds a run back until a test lets it go."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.started = threading.Event()
        self.error: BaseException | None = None
        self.loaded: list[tuple[str, str, bytes | None]] = []

    def load(self) -> Any:
        return SimpleNamespace(datasets={"flights": "the dataset flights"}, models={})

    def snapshot(self, environment: str) -> Any:
        return SimpleNamespace(id="revision-1")

    def plan(self, environment: str) -> dict[str, Any]:
        if self.error is not None:
            raise self.error
        node = {"name": "fit delay", "stage": "train", "inputs": ["rows"], "cached": False}
        delay = {"name": "delay", "model": "delay", "metric": "log_loss", "recipes": ["history"]}
        delay["refresh"] = "every 7d at 04:00, missed looks: last"
        nodes = [{**node, "why": "never ran", "note": "", "output": ""}]
        return {"revision": "revision-1", "deployments": [{**delay, "nodes": nodes}], "steps": []}

    def run(self, environment: str, progress: Progress) -> dict[str, Any]:
        self.started.set()
        progress("load flights", 0, 2)
        while not self.gate.wait(0.01):
            progress("load flights", 1, 2, "waiting")
        if self.error is not None:
            raise self.error
        progress("load flights", 2, 2)
        return {"revision": "revision-1", "deployments": [ran(environment)]}

    def apply(self, environment: str, progress: Progress) -> dict[str, Any]:
        return {**self.run(environment, progress), "changes": ["adds deployment delay"]}

    def last_run(self, environment: str) -> dict[str, Any]:
        flights = {"dataset": "flights", "number": 2, "rows": 12, "manifest": "a" * 64}
        found = [{**ran(environment), "datasets": [flights]}]
        return {"environment": environment, "deployments": found}

    def why(self, environment: str, what: str) -> dict[str, Any]:
        return {"what": what, "because": "it never ran"}


def ran(environment: str) -> dict[str, Any]:
    """What a run found of one deployment."""
    gap = {"mean": -0.05, "low": -0.06, "high": -0.04}
    evaluation = {"metric": "log_loss", "value": 0.5, "low": 0.49, "high": 0.51, "baseline": 0.55}
    held = {
        "rows": 7000,
        "how": "5 folds by key",
        "others": {"roc_auc": float("nan"), "brier": 0.1},
    }
    curve = {"p": [0.1, 0.6], "y": [0.12, 0.55], "n": [5000, 2000]}
    checks = [_check("pass"), _check("fail")]
    return {
        "run": "run-1",
        "environment": environment,
        "deployment": "delay",
        "model": "delay",
        "revision": "revision-1",
        "task": "binary",
        "metric": "log_loss",
        "now": "2013-01-01T00:00:00Z",
        "champion": "version-1",
        "data": {"flights": "d2"},
        "evaluation": {
            **evaluation,
            **held,
            "difference": gap,
            "beats_baseline": True,
            "reliability": curve,
        },
        "column_aucs": {"refund_reason": 1.0, "age": 0.6},
        "leaking": ["refund_reason"],
        "warnings": [],
        "steps": [],
        "verdict": {
            "admitted": True,
            "ships": "version-1",
            "reason": "admitted: better",
            "checks": checks,
        },
        "due": "the next look is due at 2013-01-08T00:00:00Z",
    }


def _check(outcome: str) -> dict[str, Any]:
    said = {"name": f"a {outcome}", "outcome": outcome, "message": "loss differs by -0.05"}
    return {**said, "rule": "true", "blocks": outcome == "fail", "waived_by": ""}


class Data:
    def __init__(self) -> None:
        self.loads: list[tuple[str, Any, int, bytes | None]] = []

    def versions(self, environment: str, name: str | None = None) -> list[Loaded]:
        known = [
            Loaded(id="d1", dataset="flights", number=1, rows=10),
            Loaded(id="d2", dataset="flights", number=2, rows=12),
            Loaded(id="d3", dataset="weather", number=1, rows=3),
        ]
        return [version for version in known if name in (None, version.dataset)]

    def latest(self, environment: str, name: str) -> Loaded:
        known = self.versions(environment, name)
        if not known:
            raise NotFoundError(f"dataset {name} has no version", where=name, hint="load it")
        return known[-1]

    def profile(self, version: Loaded) -> dict[str, Any]:
        return {"rows": version.rows, "columns": {"dep": {"nulls": 1}}}

    def load(
        self,
        environment: str,
        dataset: Any,
        at: int,
        source: Any = None,
        progress: Any = None,
        *,
        backfill: bool = False,
    ) -> Loaded:
        held = None if source is None else Path(source).read_bytes()
        self.loads.append((environment, dataset, at, held))
        return Loaded(id="d4", dataset="flights", number=3, rows=13)


class Registry:
    def list(self, environment: str, name: str | None = None) -> list[dict[str, Any]]:
        version = {"id": "version-1", "name": name or "delay", "kind": "model", "content": "b" * 64}
        return [{**version, "status": "serving", "at": 1_356_998_400_000_000}]

    def get(self, environment: str, version: str) -> dict[str, Any]:
        if version != "version-1":
            raise NotFoundError(f"there is no version {version!r}", hint="nenrin models list")
        return self.list(environment)[0]


class Serving:
    def list(self, environment: str) -> list[Any]:
        return [self.show(environment, "delay")]

    def show(self, environment: str, name: str) -> Any:
        route = SimpleRoute(deployment=name, variants=[{"version": "version-1", "weight": 100}])
        return SimpleDeployment(name=name, model="delay", route=route)

    def example(self, environment: str, name: str) -> dict[str, Any]:
        return {"path": f"/v2/models/{name}/infer", "body": {}, "records": [{"carrier": "O'Hare"}]}


RING: dict[str, Any] = {
    "ring": 1,
    "at": "2013-01-01T09:00:00Z",
    "trigger": "alarm",
    "evidence": {
        "alarm": "calibration",
        "at": "2013-01-01T05:00:00Z",
        "text": "predictions are off by +0.0500",
        "numbers": {"bias": 0.05},
    },
    "data": {"flights": {"load": "data-1", "rows": "a" * 64}},
    "fits": {
        "history": {"version": "version-1", "flaws": []},
        "trailing 90d": {"version": "version-2", "flaws": ["it answers NaN"]},
    },
    "standings": {"history": {"twin": "version-0", "ok": True, "mean": -0.01}},
    "verdicts": [
        {
            "id": f"verdict-{recipe}",
            "recipe": recipe,
            "judged": "version-0",
            "ships": "version-1",
            "against": {"champion": "version-0"},
            "outcome": "better",
            "compared": "paired",
            "admitted": admitted,
            "reason": f"{admitted}, it said",
            "checks": {"not worse": "pass"},
            "numbers": {"champion.mean": -0.01},
        }
        for recipe, admitted in (("history", True), ("trailing 90d", False))
    ],
    "chosen": "history",
    "ships": "version-1",
    "rollout": [
        {"at": "2013-01-01T10:00:00Z", "what": "promoted", "reason": "fast lane", "weight": 100}
    ],
    "watch": {
        "against": "version-0",
        "margin": 0.01,
        "cap": 0.1,
        "opened": "2013-01-01T10:00:00Z",
        "closed": "2013-01-03T10:00:00Z",
        "outcome": "alarm",
        "blocks": 9,
        "wealth": 21.5,
        "rolled_back": {"to": "version-0", "bad": ["version-1"], "probation": ["history"]},
    },
    "outcome": "rolled back",
    "value": 1234.0,
}


REQUEST = RequestSignature.of({"carrier": pl.String()}, known={})


class SimpleRoute(msgspec.Struct, frozen=True, kw_only=True):
    deployment: str
    variants: list[dict[str, Any]]


class SimpleDeployment(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    model: str
    route: SimpleRoute
    request: RequestSignature = REQUEST
    example: dict[str, Any] = msgspec.field(default_factory=lambda: {"carrier": "O'Hare"})
    at: int = 1_356_998_400_000_000
    frozen: bool = False


class Experiments:
    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []

    def start(self, environment: str, name: str, asked: Any) -> dict[str, Any]:
        self.asked.append((name, asked))
        return {"deployment": name, "strategy": asked.strategy, "plan": None}

    def show(self, environment: str, name: str) -> dict[str, Any]:
        difference = {"version": "version-2", "difference": -0.1, "low": -0.2, "high": -0.05}
        return {"deployment": name, "says": "version-2: better", "differences": [difference]}

    def exposures(self, environment: str, name: str) -> list[dict[str, Any]]:
        return [{"key": "u1", "version": "version-2", "first_exposed": "2013-01-01T00:00:00Z"}]

    def stop(self, environment: str, name: str) -> dict[str, Any]:
        return {"deployment": name, "why": "stopped by hand"}


class Shadows:
    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int, str]] = []

    def begin(
        self, environment: str, name: str, version: str, *, budget: int, reason: str
    ) -> dict[str, Any]:
        self.asked.append((name, version, budget, reason))
        return {"deployment": name, "shadow": version, "budget": budget}

    def end(self, environment: str, name: str, reason: str) -> dict[str, Any]:
        return {"deployment": name, "shadow": None, "left": "version-2"}

    def compared(self, environment: str, name: str) -> dict[str, Any] | None:
        return {"version": "version-2", "scored": 7, "answers": {"pairs": 7}}

    def show(self, environment: str, name: str) -> dict[str, Any]:
        return {"version": "version-2", "scored": 7, "labels": {"says": "not yet"}}


class Loop:
    def __init__(self) -> None:
        self.experiments = Experiments()
        self.shadows = Shadows()
        self.asked: list[tuple[str, Any]] = []
        self.ticks = 0
        self.serves = False
        self.made: dict[str, Any] | None = None
        self.restarts: list[tuple[str, str]] = []

    @property
    def guarding(self) -> Loop:
        return self

    def guard(self, environment: str) -> list[str]:
        return []

    def show(self, environment: str, name: str) -> dict[str, Any]:
        return {"safety": None, "breakers": []}

    def pause(self, environment: str, name: str, reason: str) -> dict[str, Any]:
        self.asked.append(("pause", (environment, name, reason)))
        return {"deployment": name, "paused": reason or None, "route": {"version-1": 100}}

    def heal(self, environment: str) -> list[str]:
        return []

    def restarted(self, environment: str, worker: str, why: str) -> None:
        self.restarts.append((worker, why))

    def status(self, environment: str) -> dict[str, Any]:
        watch = {"subject": "version-1", "ref": "version-0", "evidence": 0.5, "blocks": 3}
        delay = {
            "name": "delay",
            "champion": "version-1",
            "route": [{"version": "version-1", "weight": 100}],
            "frozen": True,
            "frozen_since": "2013-01-02T00:00:00Z",
            "frozen_why": "the release",
            "held": ["look for a better version"],
            "since": "2013-01-01T00:00:00.5Z",
            "watch": watch,
            "probation": ["trailing 90d"],
            "alarms": [
                {
                    "cause": "calibration",
                    "subject": "delay",
                    "severity": "page",
                    "since": "2013-01-02T00:00:00Z",
                    "text": "predictions are off by +0.031 on average (se 0.004)",
                }
            ],
            "shift_waits": "9 of 21 closed days",
        }
        return {
            "environment": environment,
            "now": "2013-01-01T00:00:00Z",
            "calendar": "stands at the end of the data until new data moves it",
            "deployments": [delay],
            "ledger": {"events": 7, "head": "c" * 64},
        }

    def rings(self, environment: str, deployment: str | None = None) -> list[dict[str, Any]]:
        return [{**RING, "deployment": deployment or "delay"}]

    def backtests(self) -> list[dict[str, Any]]:
        return [{"id": "b0"}, {"id": "b1"}] if self.made else []

    def backtest(self, *, progress: Progress, **asked: Any) -> dict[str, Any]:
        self.asked.append(("backtest", asked))
        progress("replay", 1, 1)
        self.made = self.made or {"id": "b1", "ledger_head": "c" * 64}
        return self.made

    def report(self, name: str) -> dict[str, Any]:
        if self.made is None:
            raise NotFoundError(f"there is no backtest {name!r}", hint="nenrin backtest")
        return {**self.made, "id": name}

    def export(self, name: str, path: Path) -> dict[str, Any]:
        path.write_bytes(b"PAR1" * 1000)
        return {"path": str(path), "rows": 1000, "title": "größer"}

    def adopt(self, name: str, into: str = "dev") -> dict[str, Any]:
        self.asked.append(("adopt", (name, into)))
        if self.serves:
            raise ConflictError("dev serves version-1 already", hint="nothing is to be done")
        stands, champion = "2013-01-01T00:00:00Z", "version-1"
        return {
            "environment": into,
            "deployment": "delay",
            "champion": champion,
            "stands_at": stands,
            "versions": 7,
        }

    def promote(
        self, environment: str, deployment: str, version: str, reason: str
    ) -> dict[str, Any]:
        raise RefusedError("the gate says no", where=deployment, hint="see nenrin gates check")

    def rollback(self, environment: str, deployment: str, reason: str) -> dict[str, Any]:
        return {"deployment": deployment, "serves": "version-0"}

    def freeze(self, environment: str, deployment: str | None, reason: str) -> list[dict[str, Any]]:
        self.asked.append(("freeze", (environment, deployment, reason)))
        return [{"deployment": deployment or "delay", "frozen": True, "reason": reason}]

    def unfreeze(
        self, environment: str, deployment: str | None, reason: str
    ) -> list[dict[str, Any]]:
        self.asked.append(("unfreeze", (environment, deployment, reason)))
        return [{"deployment": deployment or "delay", "frozen": False, "reason": None}]

    def tick(self, environment: str) -> None:
        self.ticks += 1


class Gates:
    def check(self, environment: str, deployment: str) -> dict[str, Any]:
        given = {"judged": "version-0", "ships": "version-1", "reason": "admitted: better"}
        found = {"deployment": deployment, "verdict": given, "admitted": True, "bad": False}
        return {**found, "checks": [_check("pass"), _check("cannot decide")]}


class Audit:
    def __init__(self) -> None:
        self.breaks: list[dict[str, Any]] = []

    def verify(self, environment: str | None = None, head: str | None = None) -> dict[str, Any]:
        chain = {"environment": environment or "dev", "events": 7, "head": "7:" + "c" * 64}
        outside = {"outside": "holds" if head else "not given", "unknown": "" if head else "cut"}
        holds = not self.breaks
        return {
            "holds": holds,
            "chains": [{**chain, **outside, "breaks": self.breaks, "holds": holds}],
        }

    def compare(self, heads: dict[str, str], environment: str | None = None) -> dict[str, Any]:
        return self.verify(environment, heads["dev"])


class Checkpoints:
    def make(self) -> dict[str, Any]:
        head = {"environment": "dev", "sequence": 7, "hash": "c" * 64}
        return {
            "at": "2013-01-01T00:00:00Z",
            "heads": [head],
            "note": "signed\n",
            "key": "nenrin+k",
        }

    def heads_of(self, note: str, key: str | None) -> dict[str, Any]:
        if note != "signed\n":
            raise IntegrityError("the checkpoint is not what was signed by this key")
        return {"dev": SimpleNamespace(sequence=7, hash="c" * 64)}


class FakePlatform:
    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.units = Units()
        self.projects = Projects()
        self.replayed: list[tuple[str, Any]] = []
        self.replay_check = SimpleNamespace(check=self._replay)
        self.data = Data()
        self.registry = Registry()
        self.serving = Serving()
        self.loop = Loop()
        self.gates = Gates()
        self.maturity = SimpleNamespace(
            level=lambda name: assess(Facts(environment=name, now=1_356_998_400_000_000))
        )
        self.scores = SimpleNamespace(status=lambda name: [], planned=lambda name: [])
        self.audit = Audit()
        self.checkpoints = Checkpoints()
        self.logs = StepLogs(settings.state_folder / "logs")
        self.calendar = SimpleNamespace(now=lambda: 7)
        self.closed = False
        self.lies: Exception | None = None

    def _replay(self, environment: str, which: Any) -> dict[str, Any]:
        self.replayed.append((environment, which))
        return {"environment": environment, "logged": 0, "differ": 0}

    def probe_store(self) -> None:
        if self.lies is not None:
            raise self.lies

    def close(self) -> None:
        self.closed = True

    def write_scores(self, environment: str, progress: Any = None) -> list[dict[str, Any]]:
        return []

    def materialise(self, environment: str, progress: Any = None) -> int:
        return 0

    def uncompile(self, environment: str) -> int:
        return 0


def step_error() -> StepError:
    return StepError("delay raised ValueError: no", where="project.py:12", hint="look at line 12")


def project_error() -> ProjectError:
    return ProjectError("there is no column 'x'", where="project.py:4", hint="did you mean 'y'?")
