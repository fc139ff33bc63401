"""``/openapi.json`` and ``/docs``: what the API answers, on a page that needs no network."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from html import escape
from importlib.resources import files
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.responses import HTMLResponse, RedirectResponse

from nenrin.api.dataplane import paths
from nenrin.serving.deployments import Deployment


def serve_docs(app: FastAPI, deployments: Callable[[], Sequence[Deployment]]) -> None:
    """Add the pages to ``app``; its schema also gets what the data plane answers in front of it.

    Args:
        app: the control application.
        deployments: what is deployed now; asked each time.
    """

    def schema() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = get_openapi(
                title=app.title, version=app.version, summary=app.summary, routes=app.routes
            )
        ours = app.openapi_schema
        return {**ours, "paths": paths(deployments()) | ours["paths"]}

    def docs() -> HTMLResponse:
        return HTMLResponse(docs_page(schema()))

    def start() -> RedirectResponse:
        return RedirectResponse("/docs")

    app.openapi = schema  # type: ignore[method-assign]
    app.add_api_route("/docs", docs, include_in_schema=False)
    app.add_api_route("/", start, include_in_schema=False)


def docs_page(schema: dict[str, Any]) -> str:
    """An OpenAPI schema as one plain page: every route, by room, with what it takes."""
    rooms: dict[str, list[str]] = {}
    for path, verbs in schema["paths"].items():
        for verb, operation in verbs.items():
            room = operation.get("tags", ["other"])[0]
            rooms.setdefault(room, []).append(_operation(verb, path, operation, schema))
    sections = "".join(
        f'<section><h2 id="{room}">{room}</h2>{"".join(items)}</section>'
        for room, items in rooms.items()
    )
    links = " ".join(f'<a href="#{room}">{room}</a>' for room in rooms)
    page = files("nenrin.api").joinpath("docs.html").read_text("utf-8")
    title = f"{schema['info']['title']} {schema['info']['version']}"
    return (
        page.replace("{{title}}", escape(title))
        .replace("{{links}}", links)
        .replace("{{sections}}", sections)
    )


def _operation(verb: str, path: str, operation: dict[str, Any], schema: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(kind)}</td><td>{escape(text)}</td></tr>"
        for name, kind, text in [*_parameters(operation), *_fields(operation, schema)]
    )
    table = f"<table>{rows}</table>" if rows else ""
    text = escape(operation.get("description", operation.get("summary", "")))
    return (
        f'<article><h3><b class="{verb}">{verb.upper()}</b> <code>{escape(path)}</code></h3>'
        f"<p>{text}</p>{table}{_examples(operation)}</article>"
    )


def _examples(operation: dict[str, Any]) -> str:
    """Request bodies that work, to be copied."""
    content = operation.get("requestBody", {}).get("content", {}).values()
    shown = [
        example
        for taken in content
        for example in (
            *([taken["example"]] if "example" in taken else []),
            *(each["value"] for each in taken.get("examples", {}).values()),
        )
    ]
    texts = (each if isinstance(each, str) else json.dumps(each, default=str) for each in shown)
    return "".join(f"<pre>{escape(text)}</pre>" for text in texts)


def _parameters(operation: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for parameter in operation.get("parameters", []):
        yield (
            parameter["name"],
            f"{parameter['in']}{', required' if parameter.get('required') else ''}",
            parameter.get("description", ""),
        )


def _fields(operation: dict[str, Any], schema: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for content in operation.get("requestBody", {}).get("content", {}).values():
        body = content.get("schema", {})
        if "$ref" in body:
            body = schema["components"]["schemas"][body["$ref"].rsplit("/", 1)[1]]
        for name, field in body.get("properties", {}).items():
            needed = ", required" if name in body.get("required", []) else ""
            yield name, f"body{needed}", field.get("description", field.get("title", ""))
