from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.core.errors import RequestError
from nenrin.data import declare
from nenrin.serving.router import Route, Router, Variant, key_hashes, key_text
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
