"""The loop's state and backtests."""

from __future__ import annotations

from nenrin.backends.sql.database import Database
from nenrin.backends.sql.loop import SqlBacktests, SqlLoopStates


def test_a_state_is_replaced(units: Database) -> None:
    states = SqlLoopStates()
    with units.write("dev", 1) as unit:
        assert states.get(unit, "service") is None
        states.put(unit, "service", b"\x00one")
        states.put(unit, "service", b"\xfftwo")
        states.put(unit, "other", b"")
    with units.read("dev") as unit:
        assert states.get(unit, "service") == b"\xfftwo"
        assert states.get(unit, "other") == b""
    with units.read("prod") as unit:
        assert states.get(unit, "service") is None


def test_a_backtest_that_is_run_again_replaces_its_report(units: Database) -> None:
    backtests = SqlBacktests()
    with units.write("dev", 1) as unit:
        backtests.add(unit, "backtest-1", 10, {"id": "backtest-1", "loss": 0.5})
        backtests.add(unit, "backtest-2", 10, {"id": "backtest-2", "loss": None})
        backtests.add(unit, "backtest-1", 11, {"id": "backtest-1", "loss": 0.4})
        assert backtests.get(unit, "backtest-1") == {"id": "backtest-1", "loss": 0.4}
        assert backtests.get(unit, "backtest-3") is None
        assert [body["loss"] for body in backtests.all(unit)] == [0.4, None]


def test_a_step_of_the_loop_is_few_statements(in_file: Database, statements: list[str]) -> None:
    states = SqlLoopStates()
    for at in range(3):
        statements.clear()
        with in_file.write("backtest/b-1", at) as unit:
            states.put(unit, "service", b"x" * 4000)
            unit.record("day.closed", "service", {"loss": 0.5})
    assert len(statements) <= 8  # two more than an event: the old state goes, the new one comes
