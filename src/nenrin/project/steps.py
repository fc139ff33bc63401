"""``nr.step`` and ``nr.map``: steps of one's own in the graph. A parameter's name is the edge."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, overload

import msgspec

from nenrin.core.errors import ProjectError
from nenrin.core.instants import SECOND, duration
from nenrin.core.jobs import Needs, Retries
from nenrin.pipelines.needs import checked


class StepSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A declared step.

    Attributes:
        name: the function's name.
        inputs: names of the nodes that it reads, its parameters in their order.
        where: ``file:line``.
        over: the parameter that gives the elements, where it is called once for each; else empty.
        retries, timeout, needs, priority: how it is run; see :class:`nenrin.core.jobs.Job`.
        cached: whether what it gave is taken again.
        keep: microseconds for which that is good; None: as long as nothing that it depends on changes.
        files: declared files that it reads, relative to the project's folder.
        env: environment variables that it reads.
    """

    name: str
    inputs: tuple[str, ...]
    where: str
    over: str = ""
    retries: Retries = Retries()
    timeout: float | None = None
    needs: Needs = Needs()
    priority: int = 0
    cached: bool = True
    keep: int | None = None
    files: tuple[str, ...] = ()
    env: tuple[str, ...] = ()


class Step:
    """A declared step. Calling it calls the function."""

    def __init__(self, function: Callable[..., Any], declared: StepSpec) -> None:
        self.function = function
        self.declared = declared

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function gives."""
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<step {self.declared.name}>"


@overload
def step(function: Callable[..., Any], /) -> Step: ...


@overload
def step(
    *,
    retries: int = 0,
    on: Sequence[type[BaseException]] = (),
    backoff: str = "1s",
    timeout: str | None = None,
    resources: Needs = Needs(),  # noqa: B008 - immutable
    priority: int = 0,
    cache: bool | str = True,
    files: Sequence[str] = (),
    env: Sequence[str] = (),
) -> Callable[[Callable[..., Any]], Step]: ...


def step(
    function: Callable[..., Any] | None = None, /, **options: Any
) -> Step | Callable[[Callable[..., Any]], Step]:
    """Make the decorated function a step of the graph.

    Its parameters name what it reads: a dataset (a polars frame), a model (its newest version, which has
    ``predict``), or another step (what that returned). It runs in a process of its own, in a folder of its
    own that holds the declared files, and is not run again while nothing that it depends on has changed.

    Args:
        function: the step.
        options:
            retries (int): further attempts after one that raised what ``on`` names; 0 by default.
            on (exception classes): what is worth another attempt; ``OSError`` by default.
            backoff (str): time before the second attempt, doubled before each further one; ``"1s"``.
            timeout (str): time that an attempt may take, such as ``"10m"``.
            resources: what it takes of a machine, ``nr.resources(cpus=2, memory="2GB")``; a core by default.
            priority (int): higher runs first; 0 by default.
            cache (bool or str): False: run every time; ``"1d"``: what was given is good for a day.
            files (paths): files that it reads, relative to the project file.
            env (names): environment variables that it reads.

    Raises:
        ProjectError: it has ``*args`` or ``**kwargs``, since an edge needs a name; or an option is wrong.
    """
    if function is not None and not options:
        return _declared(function, "", {})
    if function is not None:
        raise TypeError("write @nr.step(...) with the function below it")
    return lambda decorated: _declared(decorated, "", options)


def map(over: str, /, **options: Any) -> Callable[[Callable[..., Any]], Step]:  # noqa: A001 - the word is nr.map
    """Make the decorated function a step that runs once for each element of a list, side by side.

    ``@nr.map("shop")`` above ``def fitted(shop, sales)`` calls the function for each element of what the step
    ``shop`` returned; whoever reads ``fitted`` gets the list of what the calls returned, in that order. An
    element that was there before is not run again.

    Args:
        over: the parameter that gives the elements: the name of another step, which returns a list.
        options: as of :func:`step`, for each call.

    Raises:
        ProjectError: as of :func:`step`; or no parameter has that name.
    """
    return lambda function: _declared(function, over, options)


def _declared(function: Callable[..., Any], over: str, options: dict[str, Any]) -> Step:
    code = inspect.unwrap(function).__code__
    where = f"{code.co_filename}:{code.co_firstlineno}"
    name = function.__name__
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
        raise ProjectError(
            f"step {name} has *args or **kwargs",
            hint="name what it reads: def report(delay, flights)",
            where=where,
        )
    inputs = tuple(parameter.name for parameter in parameters)
    if over and over not in inputs:
        raise ProjectError(
            f"step {name} is called for each element of {over!r}, which is no parameter of it",
            hint=f"write def {name}({over}, …)",
            where=where,
        )
    spec = StepSpec(name=name, inputs=inputs, where=where, over=over, **_options(options, where))
    return Step(function, spec)


def _options(given: dict[str, Any], where: str) -> dict[str, Any]:
    """What a spec keeps of the options.

    Raises:
        ProjectError: one is not known, or its value does not fit.
    """
    unknown = set(given) - set(_READERS) - {"retries", "on", "backoff", "resources"}
    if unknown:
        raise ProjectError(
            f"a step has no option {sorted(unknown)[0]!r}",
            hint="one of cache, timeout, resources, retries, on, backoff, priority, files, env; "
            "cores and memory: resources=nr.resources(cpus=2, memory='2GB')",
            where=where,
        )
    try:
        read = [_READERS[name](value) for name, value in given.items() if name in _READERS]
        found = {name: value for part in read for name, value in part.items()}
        needs = checked(given.get("resources", Needs()), where)
        return {**found, "retries": _retries(given), "needs": needs}
    except ProjectError as error:
        error.where = error.where or where
        raise
    except (TypeError, ValueError) as error:
        raise ProjectError(
            f"an option of the step is wrong: {error}",
            hint='for example timeout="10m", retries=3, cache=False',
            where=where,
        ) from error


def _retries(given: dict[str, Any]) -> Retries:
    kinds = given.get("on", (OSError,))
    return Retries(
        times=int(given.get("retries", 0)),
        backoff=duration(given.get("backoff", "1s")) / SECOND,
        on=tuple(kind.__name__ for kind in kinds),
    )


def _cache(value: bool | str) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"cached": value}
    return {"cached": True, "keep": duration(value)}


_READERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "cache": _cache,
    "timeout": lambda value: {"timeout": None if value is None else duration(value) / SECOND},
    "priority": lambda value: {"priority": int(value)},
    "files": lambda value: {"files": tuple(str(file) for file in value)},
    "env": lambda value: {"env": tuple(str(name) for name in value)},
}
