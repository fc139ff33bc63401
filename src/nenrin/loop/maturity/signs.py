"""Where the ledger and the state show that an item happened: one small function a question."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain

from nenrin.core.instants import iso
from nenrin.core.ledger import Event
from nenrin.loop.maturity.facts import Facts, Sign, newest, sign

BY_ITSELF = frozenset({"schedule", "alarm", "new labels"})
BY_A_PERSON = frozenset({"first", "new code", "code"})
STALE = frozenset({"freshness", "volume"})
_RELEASES = ("deployment.created", "deployment.promoted", "deployment.routed")


def finished(facts: Facts) -> Sign | None:
    """A run of the whole graph ended and kept what it found."""
    return newest(facts.of("run.finished"))


def loaded(facts: Facts) -> Sign | None:
    """A declared dataset was loaded."""
    return newest(facts.of("dataset.loaded"))


def retrained(facts: Facts) -> Sign | None:
    """A look that nobody asked for trained, and its result was admitted."""
    return newest(facts.of("look.taken"), lambda look: _by_itself(look) and bool(_ships(look)))


def triggered(facts: Facts) -> Sign | None:
    """A look was taken that nobody asked for."""
    return newest(facts.of("look.taken"), _by_itself)


def fired(facts: Facts) -> Sign | None:
    """A trigger of the pipeline fired, whether its data let it train or not."""
    return newest(facts.of("look.taken", "look.blocked"), _by_itself)


def triggers(facts: Facts) -> Sign | None:
    """Looks on demand, by schedule or new labels, and by an alarm; the oldest of the newest of each."""
    kinds = (BY_A_PERSON, BY_ITSELF - {"alarm"}, frozenset({"alarm"}))
    found = [_look(facts, kind) for kind in kinds]
    if any(look is None for look in found):
        return None
    looks = [look for look in found if look is not None]
    told = ", ".join(f"{look.body['trigger']} {iso(look.at)}" for look in looks)
    return sign(min(looks, key=lambda look: look.at), told)


def _look(facts: Facts, triggers_: frozenset[str]) -> Event | None:
    looks = facts.of("look.taken", "look.blocked")
    return next((look for look in looks if look.body.get("trigger") in triggers_), None)


def alarmed(facts: Facts) -> Sign | None:
    """A look that an alarm pulled forward trained, and its result was admitted."""
    return newest(
        facts.of("look.taken"), lambda look: look.body.get("trigger") == "alarm" and _ships(look)
    )


def signalled(facts: Facts) -> Sign | None:
    """A calibration alarm was opened, and a look followed that it pulled forward."""
    looks = [
        look.sequence
        for look in facts.of("look.taken", "look.blocked")
        if look.body.get("trigger") == "alarm"
    ]
    last = max(looks, default=0)
    return newest(
        facts.of("alarm.opened"),
        lambda alarm: alarm.subject == "calibration" and alarm.sequence < last,
    )


def closed_loop(facts: Facts) -> Sign | None:
    """An alarm, the look that it pulled forward, and the release of what that look shipped."""
    opened = signalled(facts)
    return newest(
        facts.of("look.taken"),
        lambda look: (
            opened is not None and look.body.get("trigger") == "alarm" and _released(facts, look)
        ),
        f"the alarm opened {iso(opened.at)}" if opened else "",
    )


def automatic(facts: Facts) -> Sign | None:
    """What a look that nobody asked for shipped, and the gate admitted, was released."""
    return newest(facts.of("look.taken"), lambda look: _by_itself(look) and _released(facts, look))


def released(facts: Facts) -> Sign | None:
    """A release that no person made by name."""
    return newest(facts.of(*_RELEASES), _by_the_loop)


def canaried(facts: Facts) -> Sign | None:
    """A challenger answered a part of the requests."""
    return newest(facts.of("deployment.routed"), lambda event: len(event.body["route"]) > 1)


def blocked(facts: Facts) -> Sign | None:
    """Broken data kept a look from training, here or in a backtest with a fault."""
    return newest([*facts.of("look.blocked"), *reversed(facts.blocked)])


def stale(facts: Facts) -> Sign | None:
    """A check of what came, and when, failed and was told."""
    here = facts.of("look.blocked", "alarm.opened")
    return newest(chain(here, reversed(facts.blocked)), _is_stale)


def _is_stale(event: Event) -> bool:
    causes = [check.get("cause") for check in event.body.get("checks") or ()]
    return any(cause in STALE for cause in [event.body.get("kind"), *causes])


def judged(facts: Facts) -> Sign | None:
    """A verdict over all four kinds: the metric, another version or the baseline, slices, sanity."""
    for verdict in reversed(facts.verdicts):
        numbers = verdict.numbers
        compared = {numbers.get(f"{part}.verdict") for part in ("champion", "anchor", "baseline")}
        if verdict.admitted and compared - {"none", None} and numbers.get("slices.checked"):
            return Sign(
                kind="verdict.given",
                subject=verdict.id,
                at=verdict.at,
                environment=facts.environment,
                says=f"{numbers['slices.checked']:.0f} slices",
            )
    return None


def tested(facts: Facts) -> Sign | None:
    """The gates took a fit's file, had it predict held-out rows, and spoke."""
    return newest(facts.of("verdict.given"))


def registered(facts: Facts) -> Sign | None:
    """A version was registered."""
    return _version(facts, lambda _: True)


def locked(facts: Facts) -> Sign | None:
    """A version was registered with the revision, sources and packages, that made it."""
    return _version(facts, lambda event: bool(event.body.get("revision")))


def fitted(facts: Facts) -> Sign | None:
    """A fit was registered: it ran as a leased job."""
    return _version(facts, lambda event: "recipe" in _parents(event))


def described(facts: Facts) -> Sign | None:
    """A fit was registered with revision, recipe, look, cut-off and the digests of its data."""
    wanted = {"recipe", "look", "cutoff", "data"}
    return _version(
        facts, lambda event: bool(event.body.get("revision")) and wanted <= _parents(event)
    )


def _version(facts: Facts, holds: Callable[[Event], bool]) -> Sign | None:
    """A registered version of which something holds: one that serves, however old, else the newest."""
    known = {event.subject: event for event in facts.of("version.registered")}
    for champion in facts.champions.values():
        for event in [*_fits(known, champion), *filter(None, [known.get(champion)])]:
            if holds(event):
                return sign(event, "serves", stands=True)
    return newest(facts.of("version.registered"), holds)


def traced(facts: Facts) -> Sign | None:
    """Of all that serves, the fits behind it name data that was loaded here."""
    known = {event.subject: event for event in facts.of("version.registered")}
    loads = {event.subject for event in facts.of("dataset.loaded")}
    signs = []
    for champion in facts.champions.values():
        fits = _fits(known, champion)
        if not fits or not all(_data(fit) and _data(fit) <= loads for fit in fits):
            return None
        signs.append(sign(known[champion], "serves", stands=True))
    return signs[0] if signs else None


def _fits(known: dict[str, Event], version: str) -> list[Event]:
    """The events of the fits of which a version consists: itself, or its members."""
    if version not in known:
        return []
    members = [each for each in known[version].body["parents"] if each.startswith("version-")]
    if any(member not in known for member in members):
        return []
    return [known[member] for member in members] or [known[version]]


def _data(fit: Event) -> set[str]:
    """The datasets that a fit was trained on."""
    parents = fit.body["parents"]
    return {
        each.split(":", 1)[1].rpartition(":")[0] for each in parents if each.startswith("data:")
    }


def _parents(event: Event) -> set[str]:
    return {each.partition(":")[0] for each in event.body.get("parents") or ()}


def repeated(facts: Facts) -> Sign | None:
    """The same backtest, replayed twice, gave one ledger head."""
    heads: dict[str, str] = {}
    found = None
    for event in facts.events:
        if event.kind == "backtest.reported":
            head = event.body["ledger_head"]
            if head in heads:
                found = sign(event, f"its head is that of {heads[head]}")
            heads.setdefault(head, event.subject)
    return found


def recorded(facts: Facts) -> Sign | None:
    """Any event: every decision is one."""
    return newest(reversed(facts.events))


def scored(facts: Facts) -> Sign | None:
    """A day of answered rows closed, with its loss."""
    return newest(facts.of("day.closed"))


def answered(facts: Facts) -> Sign | None:
    """A request was answered and logged."""
    return _predicted(facts)


def online(facts: Facts) -> Sign | None:
    """A request was answered with features of the declared views."""
    found = facts.answers.newest
    return _predicted(facts) if facts.declared.views and found and found.features else None


def switched(facts: Facts) -> Sign | None:
    """One version answered, later another that now serves, and no prediction is missing in the log."""
    first, last = facts.answers.first, facts.answers.newest
    if first is None or last is None or facts.answers.missing:
        return None
    serves = facts.champions.get(last.deployment)
    if first.deployment != last.deployment or last.version != serves or first.version == serves:
        return None
    return _predicted(facts, f"{first.version} answered before it, none is missing")


def _predicted(facts: Facts, says: str = "") -> Sign | None:
    found = facts.answers.newest
    if found is None:
        return None
    return Sign(
        kind="prediction",
        subject=found.id,
        at=found.at,
        environment=facts.environment,
        says=says or f"answered by {found.version}",
    )


def materialised(facts: Facts) -> Sign | None:
    """What serves was given the feature state that answers its requests."""
    if not facts.declared.views:
        return None
    for event in reversed(facts.events):
        of_features = any(part.get("features") for part in event.body.get("route") or ())
        if event.kind.startswith("deployment.") and of_features:
            return sign(event, stands=event.subject in facts.champions)
    return None


def versioned(facts: Facts) -> Sign | None:
    """The active revision stands on a git commit, and on nothing else."""
    active = facts.active
    if active is None or not active.commit or active.dirty or not facts.folder_commit:
        return None
    return _activated(facts, f"git commit {active.commit[:12]}")


def components(facts: Facts) -> Sign | None:
    """Source control, registry, ledger, orchestrator and serving, each used."""
    used = (registered(facts), finished(facts), released(facts), facts.champions)
    return versioned(facts) if all(used) else None


def locked_environment(facts: Facts) -> Sign | None:
    """The active revision names its Python and every package."""
    active = facts.active
    if active is None:
        return None
    return _activated(facts, f"Python {active.python}, {active.packages} packages")


def _activated(facts: Facts, says: str) -> Sign | None:
    active = facts.active
    for event in facts.of("revision.activated"):
        if active is not None and event.subject == active.id:
            return sign(event, says, stands=True)
    return None


def same_revision(facts: Facts) -> Sign | None:
    """The active revision was activated in another environment, too."""
    active = facts.active.id if facts.active else ""
    return next(
        (
            sign(event, f"{active} is active in {facts.environment}, too", stands=True)
            for event in _activations(facts)
            if event.subject == active
        ),
        None,
    )


def two_environments(facts: Facts) -> Sign | None:
    """Another environment follows a revision of the project."""
    return next((sign(event, stands=True) for event in _activations(facts)), None)


def _activations(facts: Facts) -> Iterator[Event]:
    """The activations in other environments."""
    for events in facts.others.values():
        yield from (event for event in reversed(events) if event.kind == "revision.activated")


def promoted(facts: Facts) -> Sign | None:
    """A revision that another environment follows, after two turns of the loop that shipped elsewhere."""
    chains = [facts.events, *facts.others.values()]
    found = [
        sign(event, f"after {turns} turns in {before[0].environment}")
        for before in chains
        for after in chains
        if before is not after
        for event in after
        if event.kind == "revision.activated"
        and _followed(before, event)
        and (turns := _turns(before, event.at)) > 1
    ]
    return max(found, key=lambda each: each.at, default=None)


def _followed(events: tuple[Event, ...], later: Event) -> bool:
    return any(
        (event.kind, event.subject) == (later.kind, later.subject) and event.at < later.at
        for event in events
    )


def _turns(events: tuple[Event, ...], until: int) -> int:
    looks = (event for event in events if event.kind == "look.taken" and event.at < until)
    return sum(_ships(look) for look in looks)


def adopted(facts: Facts) -> Sign | None:
    """A backtest's champion came into an environment through the registry."""
    chains = (facts.events, *facts.others.values())
    every = sorted(chain.from_iterable(chains), key=lambda event: -event.at)
    return newest(every, lambda event: event.kind == "deployment.adopted")


def _by_itself(look: Event) -> bool:
    return look.body.get("trigger") in BY_ITSELF


def _by_the_loop(event: Event) -> bool:
    reason = str(event.body.get("reason", ""))
    return "by hand" not in reason and not reason.startswith("adopted")


def _ships(look: Event) -> bool:
    return bool(look.body.get("ships"))


def _released(facts: Facts, look: Event) -> bool:
    """Whether what a look shipped came into the route after it, by the loop."""
    ships = look.body.get("ships")
    return bool(ships) and any(
        _by_the_loop(event) and any(part["version"] == ships for part in event.body["route"])
        for event in facts.of(*_RELEASES)
        if event.at >= look.at
    )
