"""JSON Schemas of what a deployment is sent and answers, from its request signature."""

from __future__ import annotations

from typing import Any

from nenrin.serving.deployments import Deployment
from nenrin.serving.plane.openinference import TAKES
from nenrin.serving.signature import Kind, RequestField, RequestSignature

ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error", "code", "message", "hint"],
    "properties": {
        name: {"type": "string"} for name in ("error", "code", "message", "where", "hint")
    },
}
"""Of every answer of the plane that is no 200."""

_DATE = r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
_TIME = r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,6})?)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)?"
_VALUES: dict[Kind, dict[str, Any]] = {
    "number": {"type": "number"},
    "integer": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "boolean": {"type": "boolean"},
    "string": {"type": "string"},
    "datetime": {"type": "string", "pattern": f"^{_DATE}T{_TIME}$"},
    "date": {"type": "string", "format": "date", "pattern": f"^{_DATE}$"},
}
_SHAPE = {
    "type": "array",
    "items": {"type": "integer", "minimum": 1},
    "minItems": 1,
    "maxItems": 2,
    "description": "[rows] or [rows, 1]",
}
_PARAMETERS = {"type": "object"}


def row_schema(signature: RequestSignature) -> dict[str, Any]:
    """A row as an object; members that the deployment does not read are passed over."""
    return {
        "type": "object",
        "required": list(signature.required),
        "properties": {field.name: _value(field, signature) for field in signature.fields},
    }


def invocation_schema(signature: RequestSignature) -> list[dict[str, Any]]:
    """Every form of a JSON body of ``POST /invocations``."""
    row = row_schema(signature)
    rows = {"type": "array", "items": row, "minItems": 1}
    names = [field.name for field in signature.fields]
    columns = {
        **row,
        "properties": {
            name: {"type": "array", "items": value, "minItems": 1}
            for name, value in row["properties"].items()
        },
    }
    split = {
        "type": "object",
        "required": ["columns", "data"],
        "properties": {
            "columns": {"type": "array", "items": {"type": "string"}, "examples": [names]},
            "data": {"type": "array", "items": {"type": "array"}, "minItems": 1},
        },
    }
    forms: dict[str, dict[str, Any]] = {
        "dataframe_records": rows,
        "dataframe_split": split,
        "instances": rows,
    }
    forms["inputs"] = columns
    return [*(_only(name, form) for name, form in forms.items()), rows]


def infer_schema(deployment: Deployment) -> dict[str, Any]:
    """The JSON body of ``POST /v2/models/NAME/infer``."""
    signature = deployment.request
    outputs = [signature.output, "version", "prediction_id"]
    wanted = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"enum": outputs}, "parameters": _PARAMETERS},
    }
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string", "description": "given back in the answer"},
            "inputs": {
                "type": "array",
                "description": "one {name, datatype, shape, data} a request column",
                "items": {"anyOf": [_tensor(field, signature) for field in signature.fields]},
                "minItems": max(len(signature.required), 1),
                "maxItems": len(signature.fields),
            },
            "outputs": {
                "type": "array",
                "description": "those that are wanted; all, if it is left out",
                "items": wanted,
            },
            "parameters": _PARAMETERS,
        },
    }


def answer_schema(deployment: Deployment) -> dict[str, Any]:
    """The JSON answer of ``POST /v2/models/NAME/infer``."""
    output = {
        "type": "object",
        "required": ["name", "datatype", "shape"],
        "properties": {
            "name": {"enum": [deployment.request.output, "version", "prediction_id"]},
            "datatype": {"enum": sorted({deployment.request.datatype, "BYTES"})},
            "shape": _SHAPE,
            "data": {"type": "array"},
        },
    }
    return {
        "type": "object",
        "required": ["model_name", "outputs"],
        "properties": {
            "model_name": {"const": deployment.name},
            "model_version": {"type": "string"},
            "id": {"type": "string"},
            "outputs": {"type": "array", "items": output},
        },
    }


def _only(name: str, form: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "required": [name], "properties": {name: form}}


def _tensor(field: RequestField, signature: RequestSignature) -> dict[str, Any]:
    return {
        "type": "object",
        "title": field.name,
        "required": ["name", "datatype", "shape", "data"],
        "properties": {
            "name": {"const": field.name},
            "datatype": {"enum": sorted(TAKES[field.kind])},
            "shape": _SHAPE,
            "data": {"type": "array", "items": _value(field, signature), "minItems": 1},
            "parameters": _PARAMETERS,
        },
    }


def _value(field: RequestField, signature: RequestSignature) -> dict[str, Any]:
    """A column's value; null is a missing one."""
    told = dict(_VALUES[field.kind])
    told["type"] = [told["type"], "null"]
    if field.kind == "datetime":
        told["description"] = f"ISO 8601; without an offset, local in {signature.zone or 'UTC'}"
    return told
