"""What the data plane answers, for the schema and the docs page: made from what is deployed now."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from nenrin.api.schemas import ERROR, answer_schema, infer_schema, invocation_schema
from nenrin.serving.deployments import Deployment

_JSON = "application/json"


def paths(deployments: Sequence[Deployment]) -> dict[str, Any]:
    """The paths of an OpenAPI schema: one for the requests of each deployment, and those of all.

    Every request body comes with an example that the deployment answers.
    """
    names = [deployment.name for deployment in deployments]
    asked = {f"/v2/models/{each.name}/infer": {"post": _infer(each)} for each in deployments}
    return {**asked, "/invocations": {"post": _invocations(deployments)}, **_others(names)}


def _infer(deployment: Deployment) -> dict[str, Any]:
    example = deployment.request.example(deployment.name, deployment.example)["body"]
    return _operation(
        f"Predict with {deployment.name}, by the Open Inference Protocol v2. "
        "One input a request column; tensors in bytes and /versions/VERSION/infer too.",
        requestBody=_body({_JSON: {"schema": infer_schema(deployment), "example": example}}),
        answer={_JSON: {"schema": answer_schema(deployment)}},
    )


def _invocations(deployments: Sequence[Deployment]) -> dict[str, Any]:
    rows = {
        each.name: each.request.example(each.name, each.example)["records"] for each in deployments
    }
    forms = [form for each in deployments for form in invocation_schema(each.request)]
    several = len(deployments) > 1
    name = _parameter("deployment", "which one; may be left out when there is only one", "query")
    name |= {"schema": _names(list(rows)), "required": several}
    if several:
        name["examples"] = {each: {"value": each} for each in rows}
    taken: dict[str, dict[str, Any]] = {
        _JSON: {"schema": {"anyOf": forms} if forms else {}, "examples": {}},
        "text/csv": {"schema": {"type": "string"}, "examples": {}},
    }
    for each, records in rows.items():
        taken[_JSON]["examples"][each] = {"value": {"dataframe_records": records}}
        taken["text/csv"]["examples"][each] = {"value": _csv(records)}
    return _operation(
        "Predict, as MLflow's scoring server is asked. dataframe_records, dataframe_split, instances "
        "or inputs, a plain list of records, or CSV; an example is of the deployment of its name.",
        parameters=[name],
        requestBody=_body(taken),
        answer={
            _JSON: {
                "schema": {
                    "type": "object",
                    "required": ["predictions", "versions", "ids"],
                    "properties": {
                        "predictions": {"type": "array"},
                        "versions": {"type": "array", "items": {"type": "string"}},
                        "ids": {"type": "array", "items": {"type": "string"}},
                    },
                }
            }
        },
    )


def _others(names: list[str]) -> dict[str, Any]:
    name = {**_parameter("name", "the deployment", "path"), "schema": _names(names)}
    version = {**_parameter("version", "one that is served", "path"), "schema": {"type": "string"}}
    model, pinned = "/v2/models/{name}", "/v2/models/{name}/versions/{version}"
    gets = {
        model: ("The request signature: every column, and its type.", [name]),
        pinned: ("The same, if that version is served.", [name, version]),
        f"{model}/ready": ("Whether the deployment answers.", [name]),
        f"{pinned}/ready": ("Whether that version answers.", [name, version]),
        f"{model}/stats": ("Requests, rows and durations since a version was loaded.", [name]),
        f"{pinned}/stats": ("The same, of one version.", [name, version]),
        "/v2/models/stats": ("The same, of every version.", []),
        "/v2": ("The server, and the extensions of the protocol that it has.", []),
        "/v2/health/live": ("Whether the data plane is there.", []),
        "/v2/health/ready": ("Whether every deployment answers; 503 while loading.", []),
    }
    posts = {
        "/v2/repository/index": ("Every version that is served, and what does not load.", []),
        "/v2/repository/models/{name}/load": ("Look now for what is to be served.", [name]),
        "/v2/repository/models/{name}/unload": (
            "Refused: a client does not decide it.",
            [name],
        ),
    }
    texts = {
        "/ping": "As /v2/health/ready, for SageMaker.",
        "/health": "As /ping, for MLflow.",
        "/version": "The version of nenrin.",
        "/metrics": "Counters and latencies for Prometheus.",
    }
    plain: dict[str, Any] = {"text/plain": {"schema": {"type": "string"}}}
    told: dict[str, Any] = {_JSON: {"schema": {}}}
    return {
        **{p: {"get": _operation(t, parameters=a, answer=told)} for p, (t, a) in gets.items()},
        **{p: {"post": _operation(t, parameters=a, answer=told)} for p, (t, a) in posts.items()},
        **{p: {"get": _operation(text, answer=plain)} for p, text in texts.items()},
    }


def _operation(text: str, *, answer: dict[str, Any], **more: Any) -> dict[str, Any]:
    wrong = {_JSON: {"schema": ERROR}}
    return {
        "tags": ["predictions"],
        "summary": text.split(". ", maxsplit=1)[0].rstrip("."),
        "description": text,
        "parameters": [],
        "responses": {
            "200": {"description": "the answer", "content": answer},
            "4XX": {"description": "what is wrong with the request", "content": wrong},
            "503": {"description": "not now; Retry-After says when", "content": wrong},
        },
        **more,
    }


def _parameter(name: str, text: str, place: str) -> dict[str, Any]:
    return {"name": name, "in": place, "required": place == "path", "description": text}


def _names(names: list[str]) -> dict[str, Any]:
    return {"type": "string", "enum": names} if names else {"type": "string"}


def _body(content: dict[str, Any]) -> dict[str, Any]:
    return {"content": content, "required": True}


def _csv(records: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(records)
    return text.getvalue()
