"""Prediction shift: quiet where days differ, loud where the answers move, and back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from nenrin.monitoring.prediction_shift import (
    DAYS,
    FEWEST_REFERENCE_DAYS,
    FLOORS,
    OPENS,
    REFERENCE_DAYS,
    ShiftFinding,
    Shifts,
    follow,
    prediction_shift,
    shift_waits,
)
from nenrin.stats.shift import day_points


def stream(seed: int, days: int, spread: float = 0.2, rows: int = 100) -> np.ndarray:
    """Probabilities of days that each lean a little to one side, as points; weekends are lower."""
    random = np.random.default_rng(seed)
    lean = random.normal(scale=spread, size=days) - 0.2 * (np.arange(days) % 7 >= 5)
    x = random.normal(size=(days, rows)) + lean[:, None] - 1.0
    return np.stack([day_points(day) for day in 1 / (1 + np.exp(-x))])


def at(points: np.ndarray, day: int, *, standing: bool = False) -> ShiftFinding:
    """What is found when ``day`` closes."""
    first = max(0, day + 1 - DAYS)
    before, recent = points[max(0, first - REFERENCE_DAYS) : first], points[first : day + 1]
    return prediction_shift(before, recent, standing=standing)


def lived(points: np.ndarray, days: Iterable[int]) -> list[tuple[int, ShiftFinding]]:
    """What is found day by day where these days have answers, with the alarms that stand."""
    shifts, seen, found = Shifts(), {}, []
    for day in days:
        seen[day] = points[day]
        shifts, finding = follow(shifts, seen)
        found.append((day, finding))
    return found


def leaning(points: np.ndarray, first: int, by: float) -> np.ndarray:
    """The answers from a day on, moved in logits."""
    moved = points.copy()
    logits = np.log(points[first:] / (1 - points[first:])) + by
    moved[first:] = 1 / (1 + np.exp(-logits))
    return moved


@pytest.mark.parametrize("spread", [0.05, 0.2, 0.5])
def test_healthy_streams_seldom_alarm(spread):
    """5 % of streams at most; two in 20 more are chance of 1 in 13."""
    alarmed = 0
    for seed in range(20):
        points = stream(seed, 70, spread)
        alarmed += any(at(points, day).alarm for day in range(20, 70))
    assert alarmed <= 1


@pytest.mark.parametrize("by", [1.0, -1.0])
def test_answers_that_move_by_a_deviation_are_found_within_seven_days(by):
    for seed in range(10):
        points = leaning(stream(seed, 50), 40, by)
        first = next(day for day in range(20, 50) if at(points, day).alarm)
        assert 40 <= first < 47
        assert "in location by" in at(points, 46).told("delay").text
        assert np.sign(at(points, 46).effects["location"].size) == np.sign(by)


def test_answers_that_spread_are_found_though_their_middle_stays():
    points = stream(3, 47, 0.05)
    logits = np.log(points / (1 - points)) + 1.0
    logits[40:] *= 1.8
    found = at(1 / (1 + np.exp(-logits)), 46)
    assert found.alarm
    assert "in scale by +" in found.told("delay").text
    assert abs(found.effects["location"].size) < 0.1


def test_answers_that_part_into_two_heaps_are_found():
    points = stream(4, 47, 0.05)
    ranks = np.linspace(0, 1, points.shape[1])
    logits = np.log(points / (1 - points))
    logits[40:] = -1 + np.where(ranks < 0.5, -1.0, 1.0) + 0.02 * logits[40:]
    found = at(1 / (1 + np.exp(-logits)), 46)
    assert found.alarm
    assert found.effects["tails"].least(OPENS) > FLOORS["tails"]


def test_too_few_days_say_nothing_and_what_they_wait_for():
    points = leaning(stream(0, 40), 14, 3.0)
    fewest = DAYS + FEWEST_REFERENCE_DAYS
    for day in range(fewest - 1):
        found = at(points, day)
        assert not found.alarm
        assert found.effects == {}
        assert shift_waits(found.days, found.reference) == f"{day + 1} of {fewest} closed days"
    found = at(points, fewest - 1)
    assert found.alarm
    assert shift_waits(found.days, found.reference) == ""


def test_it_opens_beyond_the_floor_and_goes_on_beyond_chance():
    """Found by moving the answers little by little: between both there is what keeps and does not open."""
    kept = []
    for by in np.arange(0.0, 1.0, 0.05):
        points = leaning(stream(1, 47), 40, by)
        found, stays = at(points, 46), at(points, 46, standing=True).alarm
        beyond = [(abs(e.size), e.se, FLOORS[name]) for name, e in found.effects.items()]
        assert found.alarm == any(size - 4 * se > floor for size, se, floor in beyond)
        assert stays == any(size > max(floor, 2 * se) for size, se, floor in beyond)
        kept += [by] if stays and not found.alarm else []
    assert kept


def test_an_alarm_stays_one_and_resolves_within_a_week_of_the_shifts_end():
    for seed in range(5):
        points = stream(seed, 80)
        points[40:55] = leaning(points, 40, 1.2)[40:55]
        alarmed = [day for day, found in lived(points, range(80)) if found.alarm]
        assert alarmed == list(range(alarmed[0], alarmed[-1] + 1))
        assert 40 <= alarmed[0] < 47
        assert 54 <= alarmed[-1] < 62


def test_what_has_lasted_for_four_weeks_is_usual_and_no_alarm():
    points = leaning(stream(2, 140), 40, 1.5)
    found = dict(lived(points, range(140)))
    alarmed = [day for day in found if found[day].alarm]
    assert len(alarmed) == 28
    assert [day for day in found if found[day].usual] == [alarmed[-1] + 1]
    text = found[alarmed[-1] + 1].told("delay").text
    assert text.startswith("the answers of the last 7 days are as they were for 28 days")


def test_days_that_an_alarm_covers_are_no_reference():
    points = dict(enumerate(stream(0, 100)))
    _, found = follow(Shifts(covered=tuple(range(80, 95))), points)
    assert found.mean_before == pytest.approx(np.mean([points[day] for day in range(52, 80)]))
    assert found.mean == pytest.approx(np.mean([points[day] for day in range(93, 100)]))
    shifts, found = follow(Shifts(covered=tuple(range(20, 80))), points)
    assert (found.reference, shifts.covered) == (
        13,
        tuple(range(37, 80)),
    )  # no older than eight weeks


def test_days_without_answers_are_passed_over():
    workdays = [day for day in range(90) if day % 7 < 5]
    points = leaning(stream(6, 90), 70, 1.5)
    alarmed = [day for day, found in lived(points, workdays) if found.alarm]
    assert 70 <= alarmed[0] < 80


def test_a_day_at_a_time_it_knows_no_later_day():
    points = leaning(stream(7, 80), 50, 1.0)
    whole, cut = lived(points, range(80)), lived(points[:60], range(60))
    assert [repr(each) for each in whole[:60]] == [repr(each) for each in cut]  # NaN and all


def test_what_is_told_has_every_number():
    told = at(leaning(stream(0, 47), 40, 1.0), 46).told("delay")
    assert (told.kind, told.subject, told.severity) == ("prediction shift", "delay", "ticket")
    assert told.text.startswith(
        "the answers of the last 7 days have moved against the 28 days before"
    )
    assert {"days", "reference", "mean", "mean_before", "scale", "tails_se"} <= set(told.numbers)
    assert told.numbers["location"] - 4 * told.numbers["location_se"] > FLOORS["location"]
    assert told.numbers["mean"] > told.numbers["mean_before"]
    healthy = at(stream(0, 47), 46).told("delay")
    assert healthy.text.startswith("the answers of the last 7 days have not moved by")
