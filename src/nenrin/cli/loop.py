"""``nenrin status``, ``rings``, ``adopt``: what the loop does and did."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from nenrin.cli.console import number, plain, show, table, when
from nenrin.cli.maturity import maturity
from nenrin.cli.outcome import adopted, scores
from nenrin.cli.session import AsJson, Env, commands, session
from nenrin.cli.turns import in_full, turns
from nenrin.core.errors import NotFoundError

app = commands()


@app.command()
def status(
    level: Annotated[
        bool,
        typer.Option("--level", help="The maturity level that the ledger shows, item by item."),
    ] = False,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Where the environment stands: its calendar, deployments, open alarms and watches.

    [bold]Example[/]

    nenrin status

    nenrin status --level
    """
    with session(env) as client:
        if level:
            show(client.get("/api/status/level"), as_json, maturity)
        else:
            show(client.get("/api/status"), as_json, _status)


@app.command()
def rings(
    which: Annotated[
        str | None,
        typer.Argument(
            metavar="DEPLOYMENT|NUMBER",
            help="Of this deployment only; or the turn of this number, in full.",
            show_default=False,
        ),
    ] = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Every turn of the loop: what set it off, what was trained, the verdict, and how it ended.

    [bold]Example[/]

    nenrin rings delay

    nenrin rings 14
    """
    with session(env) as client:
        if which is None or not which.isdecimal():
            show(client.get("/api/rings", deployment=which), as_json, turns)
            return
        found = [ring for ring in client.get("/api/rings") if ring["ring"] == int(which)]
        if not found:
            raise NotFoundError(f"there is no ring {which} here", hint="see them: nenrin rings")
        show(found, as_json, in_full)


@app.command()
def adopt(
    backtest: Annotated[
        str, typer.Argument(help="Id of a backtest; the newest if left out.")
    ] = "newest",
    into: Annotated[str, typer.Option(metavar="NAME", help="The environment.")] = "dev",
    as_json: AsJson = False,
) -> None:
    """Propose a backtest's champion to an environment; where there is none it is deployed at once.

    [bold]Example[/]

    nenrin adopt --into dev
    """
    with session() as client:
        name = backtest.removeprefix("backtest/")
        show(client.post(f"/api/backtests/{name}/adopt", {"into": into}), as_json, adopted)


def stands(status: Mapping[str, Any]) -> str:
    """Where an environment's calendar is, and whether it goes on."""
    return f"{when(status['now'])}, its calendar {status['calendar']}"


def _status(status: dict[str, Any]) -> RenderableType:
    """Where the calendar stands, a line a deployment, and what each needs to be known."""
    ledger, answered = status["ledger"], status["predictions"]
    gone = answered["lost"] + answered["dropped"]
    missing = f", {gone:,} of them missing in the log" if gone else ""
    return Group(
        Text.assemble((status["environment"], "bold"), f" at {stands(status)}"),
        table(
            status["deployments"],
            ("name", "deployment", plain),
            ("champion", "champion", plain),
            ("recipe", "recipe", plain),
            ("since", "since", when),
            ("rings", "rings", number),
            ("next_look", "next look", when),
            empty="nothing is deployed yet: nenrin run, or nenrin adopt after a backtest",
        ),
        *(line for each in status["deployments"] for line in _news(each)),
        *([scores(status["scores"])] if status["scores"] else []),
        *(Text(_healed(each), style="yellow") for each in status.get("healed", ())),
        Text(f"predictions: {answered['issued']:,} answered{missing}", style="dim"),
        Text(f"ledger: {ledger['events']:,} events, head {ledger['head'][:12]}", style="dim"),
    )


def _healed(event: Mapping[str, Any]) -> str:
    """The newest healing of each kind."""
    what, why = event["what"], event.get("why", "its content could not be read")
    words = {
        "healed.rerouted": f"{what} was routed to {event.get('to')}",
        "healed.rebuilt": f"the feature state of {what} was rebuilt",
        "healed.restarted": f"{what} was started again",
        "healed.rerun": f"step {what} was run again",
        "model.uncompiled": f"the original of {what} serves in place of its compiled form",
    }
    return f"healed {when(event['at'])}: {words[event['action']]}: {why}"


def _news(deployment: Mapping[str, Any]) -> Iterator[RenderableType]:
    name = deployment["name"]
    watch = deployment.get("watch")
    if members := deployment.get("members"):
        yield Text(
            f"{name}: a mixture, "
            + ", ".join(
                f"{each['share']:.0%} {each['slot']} ({each['version']})" for each in members
            )
        )
    if recalibration := deployment.get("recalibration"):
        a, b = recalibration["a"], recalibration["b"]
        yield Text(f"{name}: answers are recalibrated, logit = {a:+.3f} {b:+.3f} logit")
    if len(deployment["route"]) > 1:
        route = ", ".join(f"{each['weight']} % {each['version']}" for each in deployment["route"])
        yield Text(f"{name}: a canary, {route}")
    if watch:
        yield Text(
            f"{name}: {watch['subject']} is watched against {watch['ref']}, "
            f"{watch['blocks']} blocks so far, evidence {plain(watch['evidence'])}"
        )
    for alarm in deployment.get("alarms") or ():
        style = "bold red" if alarm["severity"] == "page" else "yellow"
        yield Text(f"{name}: alarm since {when(alarm['since'])}: {alarm['text']}", style=style)
    if waits := deployment.get("shift_waits"):
        yield Text(f"{name}: prediction shift is not judged yet, {waits}", style="dim")
    if deployment.get("probation"):
        yield Text(f"{name}: on probation: {', '.join(deployment['probation'])}", style="yellow")
    if paused := deployment.get("paused"):
        by = f" by {deployment['paused_by']}" if deployment.get("paused_by") else ""
        yield Text(f"{name}: its rollout is paused{by}, {paused}", "yellow")
    yield from _requests(name, deployment)
    if deployment["frozen"]:
        why = deployment.get("frozen_why") or "by hand"
        since = when(deployment.get("frozen_since"))
        yield Text(f"{name}: frozen since {since}, {why}: nothing changes by itself", "yellow")
        for held in deployment.get("held") or ():
            yield Text(f"  held: {held}", style="yellow")


def _requests(name: str, deployment: Mapping[str, Any]) -> Iterator[RenderableType]:
    """What live requests said of versions that fail, and of a shadow; why a plane does not answer."""
    if why := deployment.get("problem"):
        yield Text(f"{name}: does not answer as its route says: {why}", style="bold red")
    for each in deployment.get("breakers") or ():
        if why := each.get("not loaded"):
            yield Text(f"{name}: {each['version']} answers nothing: {why}", "yellow")
        if lacked := each.get("lacked"):
            yield Text(
                f"{name}: {lacked:,} requests lacked {each['lacks']}, without which {each['version']} "
                "failed; they are not compared",
                "yellow",
            )
        if not (each["opened"] or each["answered by others"]):
            continue
        out = "is left out now" if each["open"] else f"was left out {each['opened']:,} times"
        instead = f"{each['answered by others']:,} requests were answered by others"
        yield Text(f"{name}: {each['version']} {out}; {instead}", "yellow")
    if each := deployment.get("shadow"):
        yield Text(
            f"{name}: {each['version']} is its shadow: {each['scored']:,} rows scored, "
            f"{each['dropped']:,} dropped, {each['failed']:,} failed",
            "yellow" if each["failed"] else "",
        )
