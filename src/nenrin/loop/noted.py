"""What the events before a turn say of it: its loads, fits, verdicts, and what set it off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from nenrin.core.instants import iso
from nenrin.core.ledger import Event
from nenrin.loop.race import ANCHOR

_VERDICT = (
    *("judged", "ships", "against", "outcome", "compared", "admitted", "reason"),
    *("checks", "numbers"),
)


class Noted:
    """Events of one chain, noted in their order: a turn's own stand before it."""

    def __init__(self) -> None:
        self._loads: dict[str, str] = {}
        self._revision: str | None = None
        self._rows: dict[str, dict[str, str]] = {}
        self._flaws: dict[str, list[str]] = {}
        self._verdicts: dict[str, dict[str, Any]] = {}
        self._alarms: dict[str, dict[str, Any]] = {}
        self._last: dict[str, Mapping[str, Any]] = {}

    def note(self, event: Event) -> None:
        """Take an event in, if turns are told by it."""
        body = event.body
        if event.kind == "dataset.loaded":
            self._loads[event.subject] = body["id"]
        elif event.kind == "backtest.opened":
            self._loads.update(body["data"])
        elif event.kind == "version.registered":
            self._revision = body.get("revision") or self._revision
            self._rows[event.subject] = _rows_of(body.get("parents", ()))
        elif event.kind == "fit.refused":
            self._flaws[event.subject] = body["flaws"]
        elif event.kind == "verdict.given":
            told = {"id": event.subject, **{name: body.get(name) for name in _VERDICT}}
            self._verdicts[event.subject] = told
        elif event.kind in ("alarm.opened", "alarm.updated") and body.get("kind") == "calibration":
            told = {name: body.get(name) for name in ("text", "numbers")}
            self._alarms[body["subject"]] = {"alarm": body["kind"], "at": iso(event.at), **told}

    def turned(self, ring: Mapping[str, Any]) -> None:
        """Remember a turn: the next one of its deployment comes after it."""
        self._last[ring["deployment"]] = ring

    def evidence(self, look: Event) -> dict[str, Any]:
        """What set a turn off.

        By ``alarm``: the alarm's newest words and numbers. By new labels: how many there are, and were at the
        turn before. By new code, or as the first: the revision. By schedule: the instant of the turn before.
        """
        trigger, last = look.body.get("trigger"), self._last.get(look.subject, {})
        if trigger == "alarm":
            return self._alarms.get(look.subject, {})
        if trigger == "new labels":
            return {"labels": look.body.get("labels"), "before": last.get("labels")}
        if trigger == "schedule":
            return {"after": last.get("at")}
        return {"revision": self._revision}

    def data(self, fits: Iterable[str]) -> dict[str, dict[str, str | None]]:
        """The data that fits were trained on; where there are none, the newest load of every dataset."""
        rows = {name: digest for fit in fits for name, digest in self._rows.get(fit, {}).items()}
        names = sorted(rows or self._loads)
        return {
            name: {"load": self._loads.get(name), **({"rows": rows[name]} if rows else {})}
            for name in names
        }

    def fits(self, versions: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """What each recipe was fitted anew as, with the flaws that refused it."""
        return {
            recipe: {"version": version, "flaws": self._flaws.get(version, [])}
            for recipe, version in versions.items()
        }

    def verdicts(self, ids: Iterable[str], fits: Mapping[str, str]) -> list[dict[str, Any]]:
        """The verdicts of those ids as given, each with its recipe; what is no fit is the anchor."""
        recipes = {version: recipe for recipe, version in fits.items()}
        given = [self._verdicts[each] for each in ids if each in self._verdicts]
        return [
            {"recipe": recipes.get(each["ships"] or each["judged"], ANCHOR), **each}
            for each in given
        ]


def _rows_of(parents: Iterable[str]) -> dict[str, str]:
    """Of a fit's parents, dataset to the digest of its rows that were known at the look."""
    said = [
        parent.removeprefix("data:").rpartition(":") for parent in parents if parent[:5] == "data:"
    ]
    return {name: digest for name, _, digest in said if name}
