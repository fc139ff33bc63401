"""MLflow's scoring protocol, ``POST /invocations``, and plain records.

``dataframe_split``, ``dataframe_records``, ``instances``, ``inputs`` and CSV as MLflow 3 takes them;
a list of records, or one record, may also be the whole body. Members that the deployment does not
read are passed over, so that whole rows of a table can be sent. SageMaker and Vertex AI ask the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from http import HTTPStatus
from typing import Any

import msgspec
from starlette.exceptions import HTTPException

from nenrin.core.errors import RequestError
from nenrin.serving.plane import csvrows, splits
from nenrin.serving.plane.answering import Answers, Asked
from nenrin.serving.plane.csvrows import once
from nenrin.serving.plane.decoding import decoded
from nenrin.serving.plane.served import Served
from nenrin.training.records import Records

_decoder = msgspec.json.Decoder()
_HINT = 'send {"dataframe_records": [{"column": value, …}, …]}'


_CSV = "text/csv"
_TAKEN_AS_JSON = frozenset(
    ["", "application/json", "application/x-www-form-urlencoded", "application/octet-stream"]
)
"""What clients call JSON; the last two are what curl and others say when they are told nothing."""

_NO_HEADERS: Mapping[str, str] = {}


def read(body: bytes, served: Served, headers: Mapping[str, str] = _NO_HEADERS) -> Asked:
    """The request of a body.

    Args:
        body: JSON, or CSV where ``content-type`` says so.
        served: the deployment that is asked.
        headers: of the request, by names in lower case.

    Raises:
        RequestError: the body has none of the known forms, or does not fit the signature.
        HTTPException: 415: the content type is none of the known ones.
    """
    media = _media_type(headers.get("content-type", ""))
    if media == _CSV:
        columns = csvrows.columns(body, served.deployment.request)
        return Asked(served.reader.columns(columns), write)
    plain = splits.read(body, served.reader)
    if plain is not None:
        return Asked(plain, write)
    content = decoded(body, _decoder, "the body is not JSON", _HINT)
    return Asked(_rows(content, served), write)


@lru_cache(64)
def _media_type(told: str) -> str:
    media, *parameters = (part.strip().lower() for part in told.split(";"))
    charset = dict(part.partition("=")[::2] for part in parameters).get("charset", "utf-8")
    if media not in _TAKEN_AS_JSON | {_CSV} or charset.strip('"') not in {"utf-8", "utf8"}:
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            f"the content type {told!r:.60} is not application/json or text/csv in UTF-8",
        )
    return media


def write(answers: Answers) -> dict[str, Any]:
    """The response: MLflow's ``predictions``, with each one's version and id beside it."""
    return {"predictions": answers.values, "versions": answers.versions, "ids": answers.ids}


def _rows(content: Any, served: Served) -> Records:
    if isinstance(content, list):
        return served.reader.records(content)
    if not isinstance(content, dict):
        raise RequestError("the body is neither an object nor a list of records", hint=_HINT)
    forms = [name for name in _FORMS if name in content]
    if len(forms) > 1:
        raise RequestError(f"the body has {' and '.join(forms)}", hint="send one of them")
    if forms:
        return _FORMS[forms[0]](content[forms[0]], served)
    return served.reader.records([content])


def _split(content: Any, served: Served) -> Records:
    names = content.get("columns") if isinstance(content, dict) else None
    data = content.get("data") if isinstance(content, dict) else None
    if not isinstance(names, list) or not isinstance(data, list):
        raise RequestError(
            "dataframe_split needs columns and data",
            hint='send {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}}',
        )
    if not all(isinstance(name, str) for name in names):
        raise RequestError("some columns are not names", hint="send the names as texts")
    for number, values in enumerate(data):
        if not isinstance(values, list) or len(values) != len(names):
            raise RequestError(
                f"row {number} of dataframe_split has not {len(names)} values",
                hint="send a list with one value for every column",
            )
    once(names)
    columns = zip(*data, strict=True) if data else ([] for _ in names)
    return served.reader.columns(dict(zip(names, columns, strict=True)))


def _records(content: Any, served: Served) -> Records:
    if not isinstance(content, list):
        raise RequestError("the records are not a list", hint=_HINT)
    return served.reader.records(content)


def _inputs(content: Any, served: Served) -> Records:
    """Columns of values, one record, a list of records or of rows, or the values of the only column."""
    if isinstance(content, list):
        needed = served.reader.needed
        if len(needed) == 1 and not any(isinstance(each, dict) for each in content):
            return served.reader.columns({needed[0]: _column(content)})
        if content and all(isinstance(each, list) for each in content):
            return _listed(content, served)
        return served.reader.records(content)
    if not isinstance(content, dict):
        raise RequestError("neither columns nor records were sent", hint=_HINT)
    if any(isinstance(values, list) for values in content.values()):
        return served.reader.columns({name: _column(content[name]) for name in content})
    return served.reader.records([content])


def _listed(rows: list[list[Any]], served: Served) -> Records:
    """Rows as lists, as Vertex AI's clients send them: all that a row needs, in the signature's order."""
    names = served.reader.needed
    for number, row in enumerate(rows):
        if len(row) != len(names):
            raise RequestError(
                f"row {number} has {len(row)} values, and a row needs {len(names)}",
                hint=f"send {', '.join(names)}, in this order, or an object for each row",
            )
    return served.reader.columns(dict(zip(names, zip(*rows, strict=True), strict=True)))


def _column(values: Any) -> Sequence[Any]:
    if not isinstance(values, list):
        raise RequestError("some of the inputs are lists and some are not", hint=_HINT)
    if values and all(isinstance(value, list) and len(value) == 1 for value in values):
        return [value[0] for value in values]
    return values


_FORMS = {
    "dataframe_split": _split,
    "dataframe_records": _records,
    "instances": _inputs,
    "inputs": _inputs,
}
