"""``nenrin backtest`` and ``nenrin backtest export``: the loop, tried on the past."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from nenrin.api.client import Client
from nenrin.cli.console import facts, note, show
from nenrin.cli.report import render
from nenrin.cli.session import AsJson, Env, commands, session, work, write_page
from nenrin.core.errors import RequestError

app = commands(invoke_without_command=True, no_args_is_help=False)


From = Annotated[
    str | None, typer.Option("--from", metavar="DATE", help="First day that is served.")
]
Until = Annotated[
    str | None, typer.Option(metavar="DATE", help="The day after the last one served.")
]
Inject = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FAULT:DATE",
        help="A fault and a day. Of fits: scrambled_fit, shifted_fit, staying_bug, one_recipe_only. Of data: "
        "sensor_stuck:COLUMN, null_burst:COLUMN, schema_change:COLUMN, late_labels:3d, empty_day, "
        "duplicate_load.",
    ),
]
Without = Annotated[
    list[str] | None,
    typer.Option(metavar="PART", help="Leave a part out: watch or recalibration."),
]
Policies = Annotated[
    list[str] | None,
    typer.Option(
        metavar="POLICY",
        help='What the loop is measured against: frozen, "every 28d", "every 28d, trailing 90d", '
        "other.py:service.",
    ),
]
Matrix = Annotated[bool, typer.Option("--matrix", help="The loss of every fit in every week, too.")]
Workers = Annotated[int | None, typer.Option(min=0, help="Worker processes; 0 is none but this.")]
Html = Annotated[Path | None, typer.Option(metavar="PATH", help="Where the report page goes.")]


@app.callback()
def backtest(
    ctx: typer.Context,
    from_: From = None,
    until: Until = None,
    inject: Inject = None,
    without: Without = None,
    policy: Policies = None,
    matrix: Matrix = False,
    workers: Workers = None,
    html: Html = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Replay the past through the loop, and say what it would have done, gained and cost.

    [bold]Example[/]

    nenrin backtest --from 2013-04-01 --until 2013-06-01

    nenrin backtest --inject scrambled_fit:2013-07-29 --without watch

    nenrin backtest --policy frozen --policy "every 28d" --policy other.py:service --matrix
    """
    if ctx.invoked_subcommand is not None:
        return
    asked = {
        "from": from_,
        "until": until,
        "inject": inject or [],
        "without": without or [],
        "policies": policy or [],
        "matrix": matrix,
        "workers": workers,
    }
    if html is not None:
        _check_folder(html)
    with session(env, workers=workers) as client:
        show(replay(client, asked, html), as_json, render)


def replay(client: Client, asked: dict[str, Any], html: Path | None = None) -> dict[str, Any]:
    """Do a backtest and write its page to ``html``, or under ``.nenrin``; gives the report."""
    report: dict[str, Any] = work(client, "/api/backtests", asked)
    name = report["id"]
    page = write_page(client, f"/api/backtests/{name}/page", name, html)
    note(f"the report as a page: {page}")
    return report


@app.command()
def export(
    name: Annotated[
        str, typer.Argument(metavar="[ID]", help="Id of a backtest; the newest if left out.")
    ] = "newest",
    to: Annotated[
        Path, typer.Option(metavar="FILE", help="The Parquet file that is written.")
    ] = Path("predictions.parquet"),
    as_json: AsJson = False,
) -> None:
    """Write every prediction of every policy, with label, version and training cut-off, as Parquet.

    [bold]Example[/]

    nenrin backtest export --to predictions.parquet
    """
    _check_folder(to)
    with session() as client:
        said = client.download(f"/api/backtests/{_short(name)}/predictions", to)
    show({**said, "path": str(to)}, as_json, facts)


def _short(name: str) -> str:
    """A backtest's id, also when its environment was named."""
    return name.removeprefix("backtest/")


def _check_folder(path: Path) -> None:
    if not path.absolute().parent.is_dir():
        raise RequestError(
            f"there is no folder {path.absolute().parent}",
            where=str(path),
            hint="make it first, or name another file",
        )
