"""Hash chains: every changed, removed, reordered or inserted event is found."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nenrin.core.ledger import GENESIS, Event, seal, verify

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.text(max_size=5)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=4,
)
bodies = st.dictionaries(st.text(max_size=3), plain, max_size=3)


def chain(contents: list[dict[str, Any]], environment: str = "dev") -> list[Event]:
    events: list[Event] = []
    for number, body in enumerate(contents, start=1):
        events.append(
            seal(
                events[-1].hash if events else GENESIS,
                environment=environment,
                sequence=number,
                at=number * 10,
                kind="day.closed",
                subject="delay",
                body=body,
            )
        )
    return events


chains = st.lists(bodies, min_size=2, max_size=5).map(chain)


@given(chains)
def test_a_sealed_chain_holds(events: list[Event]) -> None:
    assert verify(events) == (events[-1].hash, [])


def test_an_empty_chain_holds() -> None:
    assert verify([]) == (GENESIS, [])


@given(chains, st.data())
def test_a_changed_event_is_found(events: list[Event], data: st.DataObject) -> None:
    where = data.draw(st.integers(0, len(events) - 1))
    field = data.draw(st.sampled_from(["at", "kind", "subject", "body", "hash"]))
    old = getattr(events[where], field)
    new = {
        "at": events[where].at + 1,
        "kind": events[where].kind + "x",
        "subject": events[where].subject + "x",
        "body": {**events[where].body, "added": 1},
        "hash": "f" * 64,
    }[field]
    assert new != old
    events[where] = replace(events[where], **{field: new})
    assert verify(events)[1]


@given(chains, st.data())
def test_a_removed_event_is_found_but_for_the_tail(
    events: list[Event], data: st.DataObject
) -> None:
    where = data.draw(st.integers(0, len(events) - 2))
    head = events[-1].hash
    del events[where]
    assert verify(events)[1]
    assert verify(events[:where])[1] == []
    assert verify(events[:where])[0] != head


@given(chains, st.data())
def test_reordered_events_are_found(events: list[Event], data: st.DataObject) -> None:
    order = data.draw(st.permutations(range(len(events))).filter(lambda o: o != sorted(o)))
    assert verify([events[place] for place in order])[1]


@given(chains, st.data())
def test_renumbered_events_are_found(events: list[Event], data: st.DataObject) -> None:
    first, second = data.draw(
        st.lists(st.integers(0, len(events) - 1), min_size=2, max_size=2, unique=True)
    )
    events[first], events[second] = (
        replace(events[second], sequence=events[first].sequence),
        replace(events[first], sequence=events[second].sequence),
    )
    assert verify(events)[1]


@given(chains, st.data())
def test_an_inserted_event_is_found(events: list[Event], data: st.DataObject) -> None:
    where = data.draw(st.integers(0, len(events) - 1))
    forged = seal(
        events[where - 1].hash if where else GENESIS,
        environment="dev",
        sequence=where + 1,
        at=5,
        kind="day.closed",
        subject="forged",
        body={},
    )
    after = [replace(event, sequence=event.sequence + 1) for event in events[where:]]
    assert verify([*events[:where], forged, *after])[1]
    assert verify([*events[:where], forged, *events[where:]])[1]


@given(st.lists(bodies, min_size=1, max_size=4))
def test_the_environment_is_not_in_the_hash(contents: list[dict[str, Any]]) -> None:
    one, other = chain(contents, "backtest/a"), chain(contents, "backtest/b")
    assert one[-1].hash == other[-1].hash
