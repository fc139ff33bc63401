from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import msgspec
import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.errors import RequestError
from nenrin.data import declare
from nenrin.serving.router import Route, Router, Shadow, Variant, key_hashes, key_text
from nenrin.training.asking import row_keys

KEYS = [f"flight-{number}" for number in range(5_000)]
HASHES = key_hashes(KEYS)


def route(*weights: int) -> Route:
    variants = tuple(
        Variant(version=f"v{index}", weight=weight) for index, weight in enumerate(weights)
    )
    return Route(deployment="delay", variants=variants)


@given(st.lists(st.integers(0, 100), min_size=1, max_size=4), st.lists(st.text(), max_size=20))
def test_split_and_pick_agree(cuts: list[int], keys: list[str]) -> None:
    edges = [0, *sorted(cuts[1:]), 100]
    router = Router(route(*(high - low for low, high in pairwise(edges))))
    assert router.split(key_hashes(keys)).tolist() == [router.pick(key) for key in keys]


@pytest.mark.parametrize("weights", [(100,), (80, 20), (50, 30, 20), (0, 100)])
def test_parts_have_the_size_of_their_weights(weights: tuple[int, ...]) -> None:
    picked = Router(route(*weights)).split(HASHES)
    parts = np.bincount(picked, minlength=len(weights)) / len(KEYS)
    assert picked.dtype == np.int8
    assert np.abs(parts - np.array(weights) / 100).max() < 0.02


def test_raising_a_weight_moves_keys_to_the_challenger_only() -> None:
    before = Router(route(100)).split(HASHES)
    for weight in (1, 5, 20, 50, 99, 100):
        after = Router(route(100 - weight, weight)).split(HASHES)
        assert (after >= before).all()
        before = after
    assert (before == 1).all()


def test_deployments_deal_the_same_keys_differently() -> None:
    variants = route(50, 50).variants
    here = Router(Route(deployment="delay", variants=variants)).split(HASHES)
    there = Router(Route(deployment="cancel", variants=variants)).split(HASHES)
    assert 0.4 < (here == there).mean() < 0.6


@pytest.mark.parametrize("weights", [(), (99,), (50, 51), (120, -20)])
def test_weights_must_add_up(weights: tuple[int, ...]) -> None:
    with pytest.raises(RequestError, match="do not add up to 100"):
        route(*weights)


def test_a_version_comes_once() -> None:
    twice = (Variant(version="a", weight=50), Variant(version="a", weight=50))
    with pytest.raises(RequestError, match="comes twice"):
        Route(deployment="delay", variants=twice)


SHADOWS = st.none() | st.builds(
    lambda version, budget, since: Shadow(
        variant=Variant(version=version, weight=0), budget=budget, since=since
    ),
    st.text(max_size=5),
    st.integers(1, 100),
    st.integers(0, 2**53),
)


@given(SHADOWS)
def test_a_route_is_read_as_it_was_written_with_a_shadow_or_without(shadow: Shadow | None) -> None:
    written = msgspec.structs.replace(route(80, 20), shadow=shadow)
    assert msgspec.json.decode(msgspec.json.encode(written), type=Route) == written
    older = {name: kept for name, kept in msgspec.to_builtins(written).items() if name != "shadow"}
    assert msgspec.convert(older, Route) == route(80, 20)
    assert [each.version for each in written.variants] == ["v0", "v1"]
    assert written.loaded[:2] == written.variants
    assert len(written.loaded) == (2 if shadow is None else 3)


_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-200, 200)
    | st.floats(allow_nan=False)
    | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(
    st.sampled_from(["deployment", "variants", "shadow", "variant", "budget", "since", "version"]),
    _JSON,
)
def test_a_broken_route_is_refused_and_never_half_read(name: str, value: object) -> None:
    kept = msgspec.structs.replace(
        route(100), shadow=Shadow(variant=Variant(version="s", weight=0))
    )
    plain = msgspec.to_builtins(kept)
    inner = plain["shadow"] if name in plain["shadow"] else plain
    inner = plain["shadow"]["variant"] if name == "version" else inner
    inner[name] = value
    try:
        read = msgspec.json.decode(msgspec.json.encode(plain), type=Route)
    except (msgspec.ValidationError, RequestError):
        return
    assert sum(each.weight for each in read.variants) == 100
    assert read.shadow is None or 1 <= read.shadow.budget <= 100
    assert msgspec.to_builtins(read) == msgspec.to_builtins(msgspec.convert(plain, Route))


def test_canary_and_back() -> None:
    canary = route(100).canary("new", 20, features="state")
    assert [(each.version, each.weight) for each in canary.variants] == [("v0", 80), ("new", 20)]
    assert canary.champion.version == "v0"
    assert canary.challengers == canary.variants[1:]
    assert canary.only("v0") == route(100)


def test_keys_are_written_as_row_tables_write_them() -> None:
    frame = pl.DataFrame(
        {
            "text": ["a", r"b|c\d", ""],
            "whole": [1, -7, 2**60],
            "number": [1.5, 1e21, 3.0],
            "truth": [True, False, True],
            "at": pl.Series(
                [datetime(2013, 7, 1, 4, 5, 6, tzinfo=UTC)] * 3, dtype=pl.Datetime("us", "UTC")
            ),
        }
    )
    for key in (["text"], ["whole"], ["number"], ["at"], ["text", "whole"], ["truth", "text"]):
        dataset = declare.file("rows.csv", key=key)
        expected = row_keys(dataset, frame).to_list()
        assert [key_text(parts) for parts in frame.select(key).rows()] == expected
