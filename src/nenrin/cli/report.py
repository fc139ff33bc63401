"""The backtest report in a terminal: the same figures as its page, in the same words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from nenrin.api import figures

Report = Mapping[str, Any]
_STYLES = {"good": "green", "bad": "red", "neutral": ""}
_EVENTS = 24  # more than a screen is told by the page


def render(report: Report) -> RenderableType:
    """The whole report, from what matters most to what to do next.

    Args:
        report: the dict that ``nenrin backtest --json`` prints.
    """
    return Group(*_with_space(part for part in _parts(report) if part is not None))


def _parts(report: Report) -> Iterator[RenderableType | None]:
    yield Text(figures.headline(report), style="bold")
    yield _totals(report)
    yield _differences(report)
    yield _bullets(figures.beyond(report))
    yield _bad_week(report)
    yield _months(report)
    yield _doings(report)
    yield _facts(report)
    yield _next(report)


def _with_space(parts: Iterable[RenderableType]) -> list[RenderableType]:
    return [Padding(part, (1, 0, 0, 0)) for part in parts]


def _table(title: str) -> Table:
    return Table(
        title=title, title_justify="left", title_style="bold", box=None, pad_edge=False,
        header_style="dim", padding=(0, 2, 0, 0),
    )  # fmt: skip


def _totals(report: Report) -> Table:
    drawn = _table(f"All {report['total'][figures.OURS]['rows']:,} rows")
    drawn.add_column("")
    for column in report["columns"]:
        drawn.add_column(figures.title_of(column), justify="right")
    drawn.add_column("trainings", justify="right")
    drawn.add_column("their CPU", justify="right")
    for policy in report["policies"]:
        measured = [
            _figure(column, report["total"], policy["name"]) for column in report["columns"]
        ]
        drawn.add_row(_title(policy), *measured, *_costs(report, policy["name"]))
    return drawn


def _costs(report: Report, name: str) -> tuple[str, str]:
    """What a policy's trainings cost; the best in hindsight is nobody's."""
    fits, cpu = report["total"][name].get("fits"), report["cost"].get("policies", {}).get(name)
    return "" if fits is None else f"{fits:,}", "" if cpu is None else f"{cpu:,.0f} s"


def _differences(report: Report) -> Table | None:
    loss = figures.loss_of(report["project"])
    titles = figures.titles(report)
    drawn = _table(f"Does the loop pay? Its {loss} minus theirs")
    for name in ("against", "mean", "95 % interval", ""):
        drawn.add_column(name, justify="right" if name in ("mean", "95 % interval") else "left")
    for each in report["differences"]:
        style = _STYLES[figures.role_of(each)]
        drawn.add_row(
            titles.get(each["against"], each["against"]),
            Text(figures.signed(each["mean"]), style=style),
            f"{figures.signed(each['low'])} … {figures.signed(each['high'])}",
            Text("pays" if each["pays"] else "does not pay", style=style),
        )
    return drawn if drawn.row_count else None


def _title(policy: Mapping[str, Any]) -> Text:
    return Text(policy["title"], style="bold cyan" if policy["name"] == figures.OURS else "")


def _figure(column: str, row: Mapping[str, Any], name: str) -> Text:
    names = [each for each, value in row.items() if isinstance(value, Mapping)]
    best = figures.best(column, {each: row[each].get(column) for each in names})
    written = figures.spell(column, row[name].get(column))
    return Text(written, style="bold" if name in best else "")


def _months(report: Report) -> Table:
    column = report["columns"][0]
    drawn = _table(f"{figures.title_of(column)} month by month")
    drawn.add_column("")
    drawn.add_column("rows", justify="right", style="dim")
    for policy in report["policies"]:
        ours = policy["name"] == figures.OURS
        style = "bold cyan" if ours else "dim"
        drawn.add_column(policy["title"], justify="right", header_style=style, overflow="fold")
    for month in report["months"]:
        drawn.add_row(
            figures.month_name(month["month"]),
            f"{month['rows']:,}",
            *(_figure(column, month, policy["name"]) for policy in report["policies"]),
        )
    return drawn


def _bad_week(report: Report) -> RenderableType | None:
    bad = report.get("bad_week")
    if not bad:
        return None
    loss = figures.loss_of(report["project"])
    drawn = _table(f"The bad week ({bad['inject']}), {loss}")
    for name in ("hit", "rows", "days", "if sound", "as served", "over all rows"):
        drawn.add_column(name, justify="left" if name == "hit" else "right")
    for policy, harm in figures.hit(report):
        drawn.add_row(
            _title(policy),
            f"{harm['rows']:,}",
            f"{harm['hours'] / 24:.1f}",
            figures.spell(loss, harm["undisturbed"]),
            figures.spell(loss, harm["loss"]),
            figures.signed(harm["cost"]),
        )
    return Group(*([drawn] if drawn.row_count else []), _bullets(bad["sentences"]) or "")


def _doings(report: Report) -> RenderableType:
    counts, zone = report["counts"], report["project"]["zone"]
    told = [each for each in report["events"] if each["kind"] not in figures.ROUTINE]
    drawn = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for each in told[:_EVENTS]:
        _, role = figures.KINDS.get(each["kind"], ("", "neutral"))
        drawn.add_row(
            figures.moment_name(figures.local(each["at"], zone)),
            Text(each["kind"].replace("_", " "), style=_STYLES[role]),
            Text(each["text"]),
        )
    summary = ", ".join(f"{name} {counts[key]:,}" for key, name in figures.COUNTS if key in counts)
    rest = f"and {len(told) - _EVENTS} more: see the page" if len(told) > _EVENTS else None
    return Group(Text("What it did", style="bold"), Text(summary), drawn, *([rest] if rest else []))


def _facts(report: Report) -> RenderableType:
    labels, cost = report["labels"], report["cost"]
    cpu = cost["cpu"]
    drawn = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    drawn.add_column(style="bold")
    drawn.add_column()
    drawn.add_row(
        "labels",
        f"{labels['closed']:,} closed in time, {labels['late']:,} late, {labels['never']:,} never "
        f"came, {labels['open']:,} still open; they settle in {report['settle_age']}",
    )
    drawn.add_row(
        "cost",
        f"{figures.took(cpu['total'])} of CPU (fit {figures.took(cpu['fit'])}, predict "
        f"{figures.took(cpu['predict'])}, nenrin {figures.took(cpu['platform'])}) in "
        f"{figures.took(cost['wall']['total'])}",
    )
    drawn.add_row("ledger", f"{report['ledger_events']:,} events, head {report['ledger_head']}")
    drawn.add_row("id", report["id"])
    return drawn


def _next(report: Report) -> RenderableType | None:
    lines = [Text(f"  {line}", style="cyan") for line in report["next"]]
    return Group(Text("What to do next", style="bold"), *lines) if lines else None


def _bullets(sentences: Iterable[str]) -> RenderableType | None:
    drawn = Table.grid(padding=(0, 1, 0, 0))
    for sentence in sentences:
        drawn.add_row("•", Text(sentence))
    return drawn if drawn.row_count else None
