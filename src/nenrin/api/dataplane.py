"""What the data plane answers, for the schema and the docs page."""

from __future__ import annotations

from typing import Any

_NAME = {
    "name": "name",
    "in": "path",
    "required": True,
    "description": "the deployment",
    "schema": {"type": "string"},
}


def _operation(text: str, *, parameters: list[Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "tags": ["predictions"],
        "summary": text.split(".", maxsplit=1)[0],
        "description": text,
        "parameters": parameters or [],
        "responses": {"200": {"description": "the answer"}},
        **more,
    }


def _takes(properties: dict[str, str], required: list[str]) -> dict[str, Any]:
    schema = {
        "type": "object",
        "required": required,
        "properties": {name: {"description": text} for name, text in properties.items()},
    }
    return {"content": {"application/json": {"schema": schema}}, "required": True}


PATHS: dict[str, Any] = {
    "/v2/models/{name}/infer": {
        "post": _operation(
            "Predict, by the Open Inference Protocol v2. One input a request column.",
            parameters=[_NAME],
            requestBody=_takes(
                {
                    "inputs": "a list of {name, datatype, shape, data}, one a request column",
                    "id": "given back in the answer",
                },
                ["inputs"],
            ),
        )
    },
    "/v2/models/{name}": {
        "get": _operation("The request signature: every column, and its type.", parameters=[_NAME])
    },
    "/v2/models/{name}/ready": {
        "get": _operation("Whether the deployment answers.", parameters=[_NAME])
    },
    "/v2/health/live": {"get": _operation("Whether the data plane is there.")},
    "/v2/health/ready": {"get": _operation("Whether every deployment answers; 503 while loading.")},
    "/invocations": {
        "post": _operation(
            "Predict, as MLflow's scoring server is asked; a plain list of records will do.",
            parameters=[
                {
                    "name": "deployment",
                    "in": "query",
                    "description": "may be left out when there is only one",
                    "schema": {"type": "string"},
                }
            ],
            requestBody=_takes(
                {
                    "dataframe_records": "a list of rows {column: value}",
                    "dataframe_split": "{columns, data}",
                    "instances": "a list of rows",
                    "inputs": "columns {column: [values]}",
                },
                [],
            ),
        )
    },
    "/metrics": {"get": _operation("Counters and latencies for Prometheus.")},
}
