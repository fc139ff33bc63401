"""What is served now: loaded versions by deployment, swapped whole when the routes change.

A new version is opened and answers its deployment's example before the table is swapped; requests
under way keep the versions that they began with. What does not load is not served: the deployment
stays as it was, and a challenger that does not load leaves its keys to the champion.

Where models may take so much memory and no more, the deployments that were asked longest ago are let go, and
opened again when they are asked.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import msgspec

from nenrin.core.calendar import Calendar
from nenrin.core.errors import (
    NenrinError,
    NoRoomError,
    NotFoundError,
    RemoteError,
    RequestError,
    StepError,
    UnavailableError,
)
from nenrin.core.timer import Timer
from nenrin.registry.kinds.rows import vocabularies_of
from nenrin.serving.deployments import Deployment
from nenrin.serving.plane.asking import Asking
from nenrin.serving.plane.batching import Runtime
from nenrin.serving.plane.memory import MORE, Room, Sizes, growth
from nenrin.serving.plane.observed import Observer
from nenrin.serving.plane.questions import Question
from nenrin.serving.plane.rows import RowReader
from nenrin.serving.plane.served import Served, asked_at
from nenrin.serving.plane.shadow import Scoring, Shadows
from nenrin.serving.ports import LiveRoute, Loader, RouteReader
from nenrin.serving.router import Variant
from nenrin.training.records import Records

RETRY_SECONDS = 5.0
LET_GO = "it was let go to make room, and is opened when it is asked"

_logger = logging.getLogger(__name__)


class RouteTable:
    """Follows the routes of one environment.

    ``refresh``, ``open`` and ``rest`` are called from a thread, by one caller at a time; all else reads one
    reference.

    Args:
        routes: what is to be served.
        loader: opens it.
        calendar, timer: the clocks.
        observer: counts what becomes of requests.
        shadows: what scores for shadows; None: nothing does.
        room: the memory that models may take; None: all there is.

    Attributes:
        served: what answers, by name.
        resting: deployments that were let go, or had no room yet, and are opened when they are asked.
        unfit: deployments that are larger than all the room, and how many bytes they take.
        problems: why others do not answer as their routes say.
    """

    def __init__(
        self,
        routes: RouteReader,
        loader: Loader,
        calendar: Calendar,
        timer: Timer,
        observer: Observer | None = None,
        shadows: Shadows | None = None,
        room: Room | None = None,
    ) -> None:
        self.room = room or Room()
        self.observer = observer or Observer(None, timer)
        self._reader = routes
        self._loader = loader
        self._calendar = calendar
        self._timer = timer
        self._shadows = shadows
        self._seen: Sequence[LiveRoute] | None = None
        self._retry_at = 0.0
        self._sizes = Sizes(loader)
        self.served: Mapping[str, Served] = MappingProxyType({})
        self.resting: Mapping[str, LiveRoute] = MappingProxyType({})
        self.unfit: Mapping[str, int] = MappingProxyType({})
        self.problems: Mapping[str, str] = MappingProxyType({"": "the routes are being read"})

    @property
    def looked(self) -> bool:
        """The routes have been read."""
        return self._seen is not None

    @property
    def ready(self) -> bool:
        """Every deployment has been loaded once, rests, or is too large and not the only one.

        Routes out of reach later are no matter.
        """
        if self._seen is None:
            return False
        names = {live.deployment.name for live in self._seen}
        answers = self.served.keys() | self.resting.keys()
        return answers >= names or (bool(answers) and answers | self.unfit.keys() >= names)

    def get(self, name: str) -> Served:
        """The deployment of that name.

        Raises:
            UnavailableError: it is there, but not loaded yet, or it does not load.
            NoRoomError: it is larger than models may be.
            NotFoundError: there is none; the hint names those that are.
        """
        served = self.served.get(name)
        if served is not None:
            return served
        if name in self.problems or name in self.resting or self._seen is None:
            raise (NoRoomError if name in self.unfit else UnavailableError)(
                f"{f'deployment {name!r}' if name else 'this server'} is not ready: "
                f"{self.problems.get(name) or (LET_GO if name in self.resting else 'it is loading')}",
                hint=MORE
                if name in self.unfit
                else "try again in a second; `nenrin status` says what is wrong",
                where=name,
            )
        names = ", ".join(sorted({*self.served, *self.resting}))
        raise NotFoundError(
            f"there is no deployment {name!r}" if name else "nothing is deployed here yet",
            hint=f"deployments here: {names}" if names else "run `nenrin run` to make one",
            where=name,
        )

    def only(self, name: str | None = None) -> Served:
        """The deployment of that name, or the one that there is.

        Raises:
            RequestError: no name, and several deployments.
        """
        served = self.served.get(name or "")
        if served is not None:  # as nearly always
            return served
        if name is None and len(self.served) == 1 and not self.resting:
            return next(iter(self.served.values()))
        if name is None and self.served:
            raise RequestError(
                "there are several deployments here",
                hint=f"add ?deployment= and one of {', '.join(sorted({*self.served, *self.resting}))}",
            )
        return self.get(name or "")

    def refresh(self) -> None:
        """Read the routes; load what is new; swap the table if anything changed."""
        try:
            routes = list(self._reader.routes())
        except NenrinError as error:
            self._unread(error)
            return
        self._note_asked()
        due = bool(self.problems) and self._timer.wall() >= self._retry_at
        if routes == self._seen and not due:
            return
        problems: dict[str, str] = {}
        names = {live.deployment.name for live in routes}
        served = {name: each for name, each in self.served.items() if name in names}
        resting: dict[str, LiveRoute] = {}
        self.room.leave(self.served.keys() - names)
        self.room.pinned &= names
        self._sizes.keep(each for live in routes for each in _variants(live))
        self.unfit = MappingProxyType({k: size for k, size in self.unfit.items() if k in names})
        known = self.served.keys() - self.problems.keys()
        # last those that may take long: who is new, and who did not load before
        for live in sorted(routes, key=lambda live: live.deployment.name not in known):
            name = live.deployment.name
            if name in resting or not self._opens_now(live):
                resting[name] = live
                continue
            loaded = self._load(live, problems)
            if loaded is not None:
                served[name] = loaded
                if name in self.served:  # it waits for no other's opening
                    self.served = MappingProxyType({**self.served, name: loaded})
                self._let_go(self._others(name), served, resting)
            elif name not in problems:
                resting[name] = live  # it is measured again when it is asked
        self._retry_at = self._timer.wall() + RETRY_SECONDS
        for live in routes[:1]:
            self.observer.environment = live.deployment.environment
        self._swap(served, resting, problems)
        self._seen = routes

    def open(self, name: str) -> Served:
        """A deployment that rests, opened; others are let go for it.

        Raises:
            UnavailableError: it does not load, or finds no room.
            NotFoundError: there is none of that name.
        """
        live = self.resting.get(name)
        waits = name in self.problems and self._timer.wall() < self._retry_at
        if live is None or waits:
            return self.get(name)
        self._note_asked()
        served, resting = dict(self.served), dict(self.resting)
        problems = {key: why for key, why in self.problems.items() if key != name}
        loaded = None
        for _ in range(2):  # what seems too large is opened once more, alone
            self._let_go(self.room.make(self._size(live), name), served, resting)
            self._swap(served, resting, self.problems)  # so that there is room before it is opened
            loaded = self._load(live, problems)
            if loaded is not None or name in problems:
                break
        if loaded is None:
            if name in self.unfit:
                del resting[name]
            self._retry_at = self._timer.wall() + RETRY_SECONDS
            self._swap(served, resting, problems)
            return self.get(name)
        served[name] = loaded
        del resting[name]
        self._let_go(self._others(name), served, resting)
        self._swap(served, resting, problems)
        return loaded

    def rest(self, name: str) -> None:
        """Let a deployment go, until it is asked again."""
        served, resting = dict(self.served), dict(self.resting)
        self._let_go([name] if name in served else [], served, resting)
        self._swap(served, resting, self.problems)

    def _unread(self, error: NenrinError) -> None:
        """The routes cannot be read: those of before go on, and why is said once."""
        if self.problems.get("") != error.message:
            _logger.warning("the routes cannot be read: %s; %s", error, error.hint)
        self.problems = MappingProxyType({**self.problems, "": error.message})
        why = f"its route cannot be read: {error.message}"
        self.observer.problems = dict.fromkeys(self.served, why) | dict(self.problems)

    def _opens_now(self, live: LiveRoute) -> bool:
        """Whether it is opened as its route is read: it is open, there is room, or there never will be."""
        name, limit = live.deployment.name, self.room.limit
        if not limit or name in self.served or self._size(live, surely=True) > limit:
            return True
        return name not in self.resting and self.room.has(self._size(live))

    def _size(self, live: LiveRoute, *, surely: bool = False) -> int:
        """Bytes that its versions are expected to take, or take in any case."""
        size = self._sizes.surely if surely else self._sizes.of
        try:
            return size(_variants(live))
        except NenrinError:
            return 0  # what cannot be read says so when it is loaded

    def _others(self, name: str) -> list[str]:
        """Whom to let go, now that it is known what a deployment takes; nobody, where the rest is pinned."""
        try:
            return self.room.make(self.room.of(name), name)
        except UnavailableError:
            return []

    def _let_go(
        self, names: list[str], served: dict[str, Served], resting: dict[str, LiveRoute]
    ) -> None:
        for name in names:
            resting[name] = served.pop(name).live
        self.room.leave(names)
        self.room.let_go += len(names)

    def _swap(
        self,
        served: Mapping[str, Served],
        resting: Mapping[str, LiveRoute],
        problems: Mapping[str, str],
    ) -> None:
        # whoever looks for a name finds it in one of both at any time
        self.resting = MappingProxyType({**self.resting, **resting})
        self.served = MappingProxyType(dict(served))
        self.resting = MappingProxyType(dict(resting))
        self.problems = MappingProxyType(dict(problems))
        self.observer.problems = dict(problems)

    def _note_asked(self) -> None:
        self.room.look({name: served.requests for name, served in self.served.items()})

    def _load(self, live: LiveRoute, problems: dict[str, str]) -> Served | None:
        deployment = live.deployment
        before = self.served.get(deployment.name)
        reader = RowReader(deployment.request)
        opened: list[Runtime] = []
        if self._is_refused(live, problems):
            return None
        unloaded: dict[str, str] = {}
        for variant in deployment.route.variants:
            try:
                known = _loaded_before(before, live, variant)
                if known is None:
                    self.observer.loads(deployment, unloaded, variant.version)
                runtime = known or self._open(live, reader, variant, before)
            except Exception as error:  # noqa: BLE001 - one that does not load stops no other
                problems[deployment.name] = f"version {variant.version}: {error}"
                unloaded[variant.version] = f"it does not load: {error}"
                _say(variant.version, error)
                if not opened:
                    self.observer.loads(deployment, unloaded)
                    return None
                runtime = opened[0]
            opened.append(runtime)
        self.observer.loads(deployment, unloaded)
        size = sum(runtime.bytes for runtime in {*opened})
        if self.room.limit and size > self.room.limit:
            if not self._is_refused(live, problems) and before is not None:
                problems[deployment.name] = "it seems too large, and is measured again"
            return None
        former = _former(before, deployment)
        if former is not None and self.room.limit and size + former.bytes > self.room.limit:
            former = None
        counting, breakers = self.observer.follow(deployment)
        asking = Asking(
            opened,
            former=former,
            constant=deployment.fallback,
            breakers=breakers,
            counting=counting,
            timer=self._timer,
            optional=deployment.request.optional,
        )
        scoring = self._scoring(before, live, reader, problems)
        served = Served(live, reader, opened, self._calendar, asking, scoring)
        self.room.take(deployment.name, served.bytes)
        self.room.opened += before is None
        return served

    def _is_refused(self, live: LiveRoute, problems: dict[str, str]) -> bool:
        """Whether it never fits; of one that is open, its versions of now go on."""
        if not self.room.limit:
            return False
        name, size = live.deployment.name, self._size(live, surely=True)
        unfit = {key: each for key, each in self.unfit.items() if key != name}
        try:
            self.room.refuse(size)
        except NoRoomError as error:
            problems[name] = error.message
            if self.unfit.get(name) != size:
                _logger.warning("deployment %s does not answer: %s; %s", name, error, error.hint)
            unfit[name] = size
        self.unfit = MappingProxyType(unfit)
        return name in unfit

    def _scoring(
        self, before: Served | None, live: LiveRoute, reader: RowReader, problems: dict[str, str]
    ) -> Scoring | None:
        """What scores for the route's shadow, in a runtime of its own: it waits for no client."""
        name, shadow = live.deployment.name, live.deployment.route.shadow
        counts = self.observer.shadowed(name, shadow)
        if shadow is None or counts is None or self._shadows is None:
            return None
        if before is not None and _goes_on(before, live):
            return before.scoring
        try:
            runtime = self._open(live, reader, shadow.variant, before)
            return self._shadows.scoring(shadow, runtime, counts)
        except Exception as error:  # noqa: BLE001 - one that does not load stops no other
            problems.setdefault(name, f"shadow {shadow.version}: {error}")
            _say(shadow.version, error)
            return None

    def _open(
        self, live: LiveRoute, reader: RowReader, variant: Variant, before: Served | None
    ) -> Runtime:
        with growth() as grown:
            runtime = self._warmed(live, reader, variant, before)
        if self.room.limit:
            name = live.deployment.name
            alone = before is not None or self.room.is_left_to(name)  # who is served stays beside
            runtime.bytes = self._sizes.note(variant, grown.bytes, alone=alone)
        return runtime

    def _warmed(
        self, live: LiveRoute, reader: RowReader, variant: Variant, before: Served | None
    ) -> Runtime:
        answerer = self._loader.open(variant)
        if live.deployment.request.unseen == "refuse":
            vocabularies_of(answerer)  # made here, not on the event loop
        features = self._loader.features(variant.features) if variant.features else None
        runtime = Runtime(variant, answerer, features, self._timer)
        now = self._calendar.now() if live.stands_at is None else live.stands_at
        try:
            rows = reader.records([live.deployment.example])
            runtime.warm(Question(rows, asked_at(live.deployment, rows, now)))
            if runtime.reading.done or any(each.reading.done for each in _loaded(before)):
                _warm_lookup(runtime, live.deployment, rows, now)
        except RemoteError:
            return runtime  # that server may be there when somebody asks
        except RequestError:
            # of an older signature, or older than what an online store keeps: it says nothing
            return runtime
        except StepError:
            if not live.deployment.log.row:
                raise
            return runtime  # the example lacks what is personal, and a view may not bear that
        return runtime


def _variants(live: LiveRoute) -> tuple[Variant, ...]:
    return live.deployment.route.loaded


def _say(version: str, error: Exception) -> None:
    """What can be explained needs no traceback."""
    if isinstance(error, NenrinError):
        _logger.warning("version %s does not load: %s; %s", version, error, error.hint)
    else:
        _logger.error("version %s does not load", version, exc_info=error)


def _former(before: Served | None, deployment: Deployment) -> Runtime | None:
    """The version that the champion replaced, where it is loaded still; it is never loaded for this."""
    versions = [variant.version for variant in deployment.route.variants]
    for runtime in _loaded(before):
        if runtime.version == deployment.previous not in versions:
            return runtime
    return None


def _loaded(before: Served | None) -> list[Runtime]:
    return [] if before is None else before.loaded


def _warm_lookup(runtime: Runtime, deployment: Deployment, rows: Records, now: int) -> None:
    """Answer the example by its key alone: the first lookup reads the index of the rows, which takes long.

    For a version that follows one whose index was read: where nobody asks by key alone, none is in memory.
    """
    request = deployment.request
    by_key = [{name: row[name] for name in request.key} for row in rows]
    if request.lookup is not None and None not in by_key[0].values():
        runtime.compute(Question(by_key, [now] * len(rows), request.lookup))


def _goes_on(before: Served, live: LiveRoute) -> bool:
    """Whether the shadow that scores already is the one of the route, in the same form."""
    shadow, scoring = live.deployment.route.shadow, before.scoring
    if shadow is None or scoring is None or scoring.shadow != shadow:
        return False
    return before.forms.get(shadow.version) == live.forms.get(shadow.version)


def _loaded_before(before: Served | None, live: LiveRoute, variant: Variant) -> Runtime | None:
    """The variant's runtime in the table that is served, if it answers in the same way."""
    if before and before.forms.get(variant.version) != live.forms.get(variant.version):
        return None
    for runtime in _loaded(before):
        if msgspec.structs.replace(runtime.variant, weight=variant.weight) == variant:
            return runtime
    return None
