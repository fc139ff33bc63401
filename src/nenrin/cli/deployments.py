"""``nenrin deployments``: what clients address by name, and which version answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from nenrin.cli.console import facts, plain, show, table, when
from nenrin.cli.session import AsJson, Env, commands, session
from nenrin.core.errors import RequestError

app = commands()

_FREEZE = ("frozen_since", "frozen_why", "thawed")
_RARE = ("paused", "paused_by", "fallback", "experiment", "shadow")

Name = Annotated[str, typer.Argument(metavar="DEPLOYMENT", help="The deployment's name.")]
Named = Annotated[
    str | None, typer.Argument(metavar="DEPLOYMENT", help="The deployment's name; or --all.")
]
All = Annotated[bool, typer.Option("--all", help="Every deployment of the environment.")]
Reason = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Why, for the ledger and every status.")
]


@app.command("list")
def list_(env: Env = None, as_json: AsJson = False) -> None:
    """Every deployment, and the version that answers.

    [bold]Example[/]

    nenrin deployments list
    """
    with session(env) as client:
        show(client.get("/api/deployments"), as_json, _deployments)


@app.command("show")
def show_(name: Name, env: Env = None, as_json: AsJson = False) -> None:
    """One deployment: its route, its anchor, what a request holds, and whether what goes out is safe.

    [bold]Example[/]

    nenrin deployments show delay
    """
    with session(env) as client:
        show(client.get(f"/api/deployments/{name}"), as_json, _deployment)


@app.command()
def promote(
    name: Name,
    version: Annotated[str, typer.Argument(help="The version to serve; the gates judge it first.")],
    reason: Reason = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Judge a version and, if the gates let it, make it the champion.

    [bold]Example[/]

    nenrin deployments promote delay version-3f9ac27d51e0
    """
    with session(env) as client:
        body = {"version": version, **_said(reason)}
        show(client.post(f"/api/deployments/{name}/promote", body), as_json, facts)


@app.command()
def rollback(name: Name, reason: Reason = None, env: Env = None, as_json: AsJson = False) -> None:
    """Serve the version that served before again, at once.

    [bold]Example[/]

    nenrin deployments rollback delay --reason "it promises what we do not sell"
    """
    with session(env) as client:
        show(client.post(f"/api/deployments/{name}/rollback", _said(reason)), as_json, facts)


@app.command()
def pause(name: Name, reason: Reason = None, env: Env = None, as_json: AsJson = False) -> None:
    """Keep a rollout at its weight: it is judged, and rolled back where it does harm, but not raised.

    [bold]Example[/]

    nenrin deployments pause delay --reason "until Monday"
    """
    with session(env) as client:
        show(client.post(f"/api/deployments/{name}/pause", _said(reason)), as_json, facts)


@app.command()
def resume(name: Name, env: Env = None, as_json: AsJson = False) -> None:
    """Let a paused rollout go on: its next stage begins at once if it is due.

    [bold]Example[/]

    nenrin deployments resume delay
    """
    with session(env) as client:
        show(client.post(f"/api/deployments/{name}/resume"), as_json, facts)


@app.command()
def freeze(
    name: Named = None,
    every: All = False,
    reason: Reason = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Stop every automatic change: looks, promotions, stages of a canary, roll-backs, adoption.

    Days are scored all the same, and what would have been done is said. Your own promote and rollback work.

    [bold]Example[/]

    nenrin deployments freeze delay --reason "the release on Friday"
    """
    _set_frozen("freeze", name, every, reason, env, as_json)


@app.command()
def unfreeze(
    name: Named = None,
    every: All = False,
    reason: Reason = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Let the loop act again: what was held happens at its next tick.

    [bold]Example[/]

    nenrin deployments unfreeze delay
    """
    _set_frozen("unfreeze", name, every, reason, env, as_json)


@app.command()
def shadow(
    name: Name,
    version: Annotated[
        str | None, typer.Argument(help="Who scores; left out: tell what came of it.")
    ] = None,
    off: Annotated[bool, typer.Option("--off", help="Have nothing scored any more.")] = False,
    budget: Annotated[
        int,
        typer.Option(min=1, max=100, metavar="PERCENT", help="Of a core, in each data plane."),
    ] = 25,
    reason: Reason = None,
    env: Env = None,
    as_json: AsJson = False,
) -> None:
    """Have a version score what others have answered; no client hears of it.

    [bold]Example[/]

    nenrin deployments shadow delay version-3f9ac27d51e0 --budget 50
    """
    if off and version is not None:
        raise RequestError(
            "a version or --off, not both",
            where="nenrin deployments shadow",
            hint=f"nenrin deployments shadow {name} --off",
        )
    with session(env) as client:
        if off:
            show(client.post(f"/api/deployments/{name}/unshadow", _said(reason)), as_json, facts)
        elif version is not None:
            body = {"version": version, "budget": budget, **_said(reason)}
            show(client.post(f"/api/deployments/{name}/shadow", body), as_json, facts)
        else:
            show(client.get(f"/api/deployments/{name}/shadow"), as_json, facts)


def _set_frozen(
    verb: str, name: str | None, every: bool, reason: str | None, env: str | None, as_json: bool
) -> None:
    if every == (name is not None):
        raise RequestError(
            "name one deployment, or say --all" if not every else "a deployment or --all, not both",
            where=f"nenrin deployments {verb}",
            hint="nenrin deployments list shows those there are",
        )
    with session(env) as client:
        path = f"/api/deployments/{verb}" if every else f"/api/deployments/{name}/{verb}"
        show(client.post(path, _said(reason)), as_json, facts)


def _said(reason: str | None) -> dict[str, str]:
    return {} if reason is None else {"reason": reason}


def _deployment(deployment: dict[str, Any]) -> RenderableType:
    """As it is kept, but for a freeze and a thaw that never were; their instants as people write them."""
    said = dict(deployment)
    safety, breakers = said.pop("safety", None), said.pop("breakers", [])
    back = said.pop("rolled_back", None)
    kept = {name: value for name, value in said.items() if name not in (*_FREEZE, *_RARE)}
    kept |= {name: said[name] for name in _RARE if said.get(name)}
    known = {name: deployment[name] for name in _FREEZE if deployment.get(name)}
    told = facts(kept | {name: when(value) for name, value in known.items()})
    broken = [facts({"breakers": breakers})] if breakers else []
    return Group(told, *_safety(safety), *broken, *_rolled_back(back))


def _rolled_back(back: dict[str, Any] | None) -> Iterator[RenderableType]:
    """The newest roll-back, with the numbers that it was decided by."""
    if back is None:
        return
    by = f", by {back['by']}" if back["by"] else ""
    left = ", ".join(back["left"])
    yield Text.assemble(
        ("rolled back", "bold"),
        f"  {when(back['at'])}, {left} to {back['to']}{by}: {back['reason']}",
    )
    yield from _safety(back["safety"])


def _safety(safety: dict[str, Any] | None) -> Iterator[RenderableType]:
    """Counts and evidence of each metric."""
    if safety is None:
        return
    mine, theirs = safety["requests"]
    yield Text.assemble(
        ("is it safe?", "bold"),
        f"  {safety['subject']} against {safety['against']}, {mine:,} and {theirs:,} requests",
    )
    yield table(
        safety["metrics"],
        ("name", "metric", plain),
        ("mine", "its", plain),
        ("theirs", "the other's", plain),
        ("effect", "effect", plain),
        ("floor", "counts from", plain),
        ("evidence", "evidence", plain),
        ("needs", "needs", plain),
        ("breach", "", lambda breach: "not safe" if breach else ""),
    )


def _deployments(deployments: list[dict[str, Any]]) -> RenderableType:
    def champion(route: dict[str, Any]) -> str:
        return plain(route["variants"][0]["version"])

    def challengers(frozen: bool) -> str:
        return "frozen" if frozen else ""

    return table(
        deployments,
        ("name", "deployment", plain),
        ("model", "model", plain),
        ("route", "champion", champion),
        ("at", "since", when),
        ("frozen", "", challengers),
        empty="nothing is deployed yet: nenrin run, or nenrin adopt after a backtest",
    )
