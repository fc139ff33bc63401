"""``nenrin data``: datasets, their versions and profiles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from nenrin.cli.console import number, plain, short, show, table, when
from nenrin.cli.session import AsJson, Env, commands, session, upload, work
from nenrin.core.errors import RequestError

app = commands()

Name = Annotated[str, typer.Argument(metavar="DATASET", help="The dataset's name.")]
_FORMS: dict[str, Literal["csv", "parquet"]] = {".csv": "csv", ".parquet": "parquet"}


@app.command("list")
def list_(env: Env = None, as_json: AsJson = False) -> None:
    """The newest version of every dataset.

    [bold]Example[/]

    nenrin data list
    """
    with session(env) as client:
        show(client.get("/api/data"), as_json, _versions)


@app.command("show")
def show_(name: Name, env: Env = None, as_json: AsJson = False) -> None:
    """Every version of a dataset: what each load added and changed.

    [bold]Example[/]

    nenrin data show flights
    """
    with session(env) as client:
        show(client.get(f"/api/data/{name}"), as_json, _versions)


@app.command()
def load(
    name: Name,
    file: Annotated[
        Path | None,
        typer.Argument(help="CSV or Parquet with more rows; the dataset's loader if left out."),
    ] = None,
    backfill: Annotated[
        bool,
        typer.Option(help="The rows belong to the past: they were known then, not from now on."),
    ] = False,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Load a dataset again, or more rows from a file: new keys are added, known ones changed.

    [bold]Example[/]

    nenrin data load customers march.csv
    """
    form = None if file is None else _form(file)
    with session(env) as client:
        if file is None:
            loaded = work(client, f"/api/data/{name}/load", backfill=backfill)
        else:
            loaded = upload(client, f"/api/data/{name}", file, form=form, backfill=backfill)
    show(loaded, as_json, _loaded)


@app.command()
def profile(name: Name, env: Env = None, as_json: AsJson = False) -> None:
    """The newest version of a dataset, column by column.

    [bold]Example[/]

    nenrin data profile weather
    """
    with session(env) as client:
        show(client.get(f"/api/data/{name}/profile"), as_json, _profile)


def _form(file: Path) -> Literal["csv", "parquet"]:
    if not file.is_file():
        raise RequestError(
            f"there is no file {file}", where=str(file.absolute()), hint="name one that is there"
        )
    form = _FORMS.get(file.suffix.lower())
    if form is None:
        raise RequestError(
            f"{file.name} is neither CSV nor Parquet by its name",
            where=str(file),
            hint="give it the ending .csv or .parquet",
        )
    return form


def _loaded(version: dict[str, Any]) -> RenderableType:
    counts = ", ".join(f"{version[how]:,} {how}" for how in ("added", "changed", "unchanged"))
    new = version["added"] + version["changed"]
    return Text.assemble(
        (version["dataset"], "bold"),
        f"  version {version['number']}{'' if new else ' still'}: {counts}; {version['rows']:,} rows, "
        f"known until {when(version['bound'])}",
        *(f"\nnote: {note}" for note in version["notes"]),
    )


def _versions(versions: list[dict[str, Any]]) -> RenderableType:
    return table(
        versions,
        ("dataset", "dataset", plain),
        ("number", "version", number),
        ("rows", "rows", number),
        ("added", "added", number),
        ("changed", "changed", number),
        ("bound", "known until", when),
        ("manifest", "content", short),
        empty="nothing is loaded yet: nenrin run",
    )


def _profile(profile: dict[str, Any]) -> RenderableType:
    """A line a column; its quantiles and its other top values are in the JSON."""
    columns = [{"column": name, **about} for name, about in profile["columns"].items()]

    def first(top: list[list[Any]] | None) -> str:
        return f"{plain(top[0][0])} ({number(top[0][1])})" if top else ""

    drawn = table(
        columns,
        ("column", "column", plain),
        ("kind", "kind", plain),
        ("nulls", "nulls", number),
        ("distinct", "distinct", number),
        ("min", "from", plain),
        ("max", "to", plain),
        ("top", "most often", first),
    )
    return Group(Text(f"{profile['rows']:,} rows", style="bold"), drawn)
