"""The same loop, without a changed constant, on many streams, beside fixed policies. By hand.

    .venv/bin/python benchmarks/loop.py [--streams NAME …] [--serve mixture champion] [--against recipes]

Prints Markdown; ``docs/benchmarks.md`` keeps what it printed. ``streams.py`` says what the streams are. Every
replay is a process of its own in the stream's folder; the second one in a folder, with another ``serve``,
finds the fits of the first where they are the same. The bar: the regret to the best fixed policy is at most a
tenth of the spread between the best and the worst, or its 95 % interval covers zero and is narrower than
that spread. ``--against recipes`` measures beside harder policies: each recipe of the loop, fitted anew every
week. With ``--reports`` reports are kept as JSON, and what is kept is not replayed again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regret import HINDSIGHT, fixed, regret, row_loss, unpaid, untrue
from streams import STREAMS, Stream

SERVES = ("mixture", "champion")
USUAL = {
    "never": "never",
    "monthly_trailing": "monthly, 90 d",
    "monthly_all": "monthly, all",
    "weekly_all": "weekly, all",
    HINDSIGHT: "hindsight",
}
RECIPES = {
    "never": "never",
    "every_7d": "weekly, all",
    "every_7d_half_life_60d": "weekly, half-life 60 d",
    "every_7d_trailing_90d": "weekly, 90 d",
    HINDSIGHT: "hindsight",
}
WEEKLY = ("frozen", "every 7d", "every 7d, half-life 60d", "every 7d, trailing 90d")
AGAINST: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "usual": (USUAL, ()),
    "recipes": (RECIPES, WEEKLY),
}


@dataclass(frozen=True)
class Played:
    """A stream's report under one way of serving, and what its policies are called in tables."""

    stream: Stream
    serve: str
    report: dict[str, Any]
    titles: dict[str, str]

    @property
    def title(self) -> str:
        """What a row of a table is called."""
        return f"`{self.stream.name}`, {self.serve}"

    @property
    def metric(self) -> str:
        """The column of the table of losses."""
        return str(self.report["columns"][0])


def played(
    stream: Stream, serves: list[str], against: str, scratch: Path, reports: Path
) -> Iterator[Played]:
    """Write a stream's folder and replay it, once for each way of serving."""
    titles, policies = AGAINST[against]
    folder = scratch / stream.name
    folder.mkdir()
    stream.write(folder)
    text = (folder / "project.py").read_text()
    for serve in serves:
        kept = reports / f"{stream.name}-{serve}-{against}.json"
        if not kept.exists():
            (folder / "project.py").write_text(served(text, serve))
            kept.write_text(json.dumps(backtest(folder, policies)))
        report = json.loads(kept.read_text())
        if sorted(titles) != sorted([*fixed(report), HINDSIGHT]):
            raise SystemExit(f"the policies are {fixed(report)}: mend AGAINST")
        yield Played(stream, serve, report, titles)


def served(text: str, serve: str) -> str:
    """The project file with another ``serve``; a mixture where it does not say."""
    if 'serve="mixture"' in text:
        return text.replace('serve="mixture"', f'serve="{serve}"')
    return text.replace("nr.deployment(footfall)", f'nr.deployment(footfall, serve="{serve}")')


def backtest(folder: Path, policies: Sequence[str]) -> dict[str, Any]:
    """The report of ``nenrin backtest`` in a folder; without ``policies`` beside the usual ones."""
    asked = [word for policy in policies for word in ("--policy", policy)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    if environment.pop("PYTHONDONTWRITEBYTECODE", ""):  # modules are compiled once, as anywhere
        environment["PYTHONPYCACHEPREFIX"] = f"{tempfile.gettempdir()}/nenrin-bench-{os.getuid()}"
    done = subprocess.run(
        [sys.executable, "-m", "nenrin", "backtest", "--json", *asked],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"the backtest in {folder} ended with {done.returncode}: {done.stderr}")
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def losses(all_: list[Played]) -> None:
    """Every policy's loss."""
    titles = all_[0].titles
    print("### Losses\n")
    print(f"| stream | rows a day | metric | the loop | {' | '.join(titles.values())} |")
    print("|---|---|---|---|" + "---|" * len(titles))
    for each in all_:
        report, metric = each.report, each.metric
        total = report["total"]
        a_day = total["loop"]["rows"] / report["window"]["days"]
        told = " | ".join(f"{total[name][metric]:.4f}" for name in ("loop", *titles))
        print(f"| {each.title} | {a_day:.0f} | {metric} | {told} |")
    print()


def gaps(all_: list[Played]) -> None:
    """The loop less every policy, paired, with intervals."""
    titles = all_[0].titles
    print("### The loop less each policy, a row: paired difference, 95 % interval\n")
    print(f"| stream | {' | '.join(titles.values())} |\n|---|{'---|' * len(titles)}")
    for each in all_:
        by_name = {gap["against"]: gap for gap in each.report["differences"]}
        cells = [interval(*(by_name[name][k] for k in ("mean", "low", "high"))) for name in titles]
        print(f"| {each.title} | {' | '.join(cells)} |")
    print("\nLog loss; of amounts and people the squared error.\n")


def bars(all_: list[Played]) -> None:
    """Regret, spread and the bar."""
    print("### Regret to the best fixed policy\n")
    print("| stream | best | worst | spread | regret, 95 % interval | of the spread | bar |")
    print("|---|---|---|---|---|---|---|")
    for each in all_:
        found = regret(each.report)
        part = f"{found.regret / found.spread:+.1%}" if found.spread else ""
        told = interval(found.regret, found.low, found.high)
        held = "met" if found.met else "**missed**"
        print(
            f"| {each.title} | {each.titles[found.best]} | {each.titles[found.worst]} "
            f"| {figure(found.spread)} | {told} | {part} | {held} |"
        )
    print()


def said(all_: list[Played]) -> None:
    """What the loop did, what the report says of it, and what it cost."""
    print("### What the loop did, what the report says, and what it cost\n")
    print(
        "| stream | looks | promotions | refusals | roll-backs | alarms | settle "
        "| the report: does not pay against | true to its figures | CPU s: fit | predict | platform |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")
    counted = ("looks", "promotions", "refusals", "rollbacks", "alarms")
    for each in all_:
        report, cpu = each.report, each.report["cost"]["cpu"]
        counts = " | ".join(str(report["counts"][name]) for name in counted)
        against = "; ".join(unpaid(report)) or "none of them"
        wrong = "; ".join(untrue(report))
        print(
            f"| {each.title} | {counts} | {report['settle_age']} | {against} | {wrong or 'yes'} "
            f"| {cpu['fit']:.0f} | {cpu['predict']:.0f} | {cpu['platform']:.0f} |"
        )
    print()


def interval(mean: float, low: float, high: float) -> str:
    """A difference and its interval."""
    return f"{figure(mean, '+')} [{figure(low, '+')}, {figure(high, '+')}]"


def figure(value: float, sign: str = "") -> str:
    """Four places; of large ones fewer."""
    return f"{value:{sign}.4f}" if abs(value) < 1 else f"{value:{sign}.4g}"


def main() -> None:
    """Replay, and print the tables."""
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--streams", nargs="+", choices=STREAMS, default=list(STREAMS))
    options.add_argument("--serve", nargs="+", choices=SERVES, default=["mixture"])
    options.add_argument("--against", choices=AGAINST, default="usual")
    options.add_argument("--reports", type=Path, help="where reports are kept")
    given = options.parse_args()
    all_: list[Played] = []
    with tempfile.TemporaryDirectory(prefix="nenrin-bench-") as scratch:
        reports = given.reports or Path(scratch)
        reports.mkdir(parents=True, exist_ok=True)
        for name in given.streams:
            stream = STREAMS[name]
            for each in played(stream, given.serve, given.against, Path(scratch), reports):
                found = row_loss(each.report, "loop")
                print(f"{each.title}: {figure(found)}", file=sys.stderr, flush=True)
                all_.append(each)
    for name in given.streams:
        print(f"- `{name}`: {STREAMS[name].title}")
    print()
    for part in (losses, gaps, bars, said):
        part(all_)


if __name__ == "__main__":
    main()
