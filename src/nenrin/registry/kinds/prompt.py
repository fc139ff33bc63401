"""The kind *prompt*: a template that a language model answers.

The model is a callable of the project, named in the content: text in, text (or a number) out.
"""

from __future__ import annotations

from collections.abc import Callable
from string import Formatter
from typing import Any

import msgspec
import numpy as np
import polars as pl

from nenrin.core.errors import DataError, NotFoundError, RequestError, StepError
from nenrin.registry.kinds.contract import Answerer, Answers, OpenContext


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a version of this kind.

    Attributes:
        template: text with ``{column}`` where a row's value goes; ``{{`` stands for a brace.
        model: name of the project's callable that answers.
    """

    template: str
    model: str

    def dumps(self) -> bytes:
        """The bytes to put into the content store, the same for the same prompt."""
        return msgspec.json.encode(self)

    @classmethod
    def loads(cls, content: bytes) -> Prompt:
        """The prompt of a content.

        Raises:
            RequestError: the content is no prompt, or its template is wrong.
        """
        try:
            prompt = msgspec.json.decode(content, type=cls)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise RequestError(
                f"this is no prompt: {error}",
                hint='its content is JSON: {"template": "… {column} …", "model": "callable"}',
            ) from None
        prompt.inputs()
        return prompt

    def inputs(self) -> tuple[str, ...]:
        """The columns that the template names, sorted.

        Raises:
            RequestError: the template is wrong.
        """
        return tuple(sorted({name for _, name in _parts(self.template) if name}))


class PromptKind:
    """Prompts as versions."""

    name = "prompt"

    def describe(self, content: bytes) -> dict[str, Any]:
        """The prompt's inputs and model.

        Raises:
            RequestError: the content is no prompt.
        """
        prompt = Prompt.loads(content)
        return {"inputs": list(prompt.inputs()), "model": prompt.model}

    def open(self, content: bytes, context: OpenContext) -> Answerer:
        """The prompt with its model.

        Raises:
            NotFoundError: the project has no callable of the model's name.
        """
        prompt = Prompt.loads(content)
        model = context.callable(prompt.model)
        if model is None:
            raise NotFoundError(
                f"the prompt is answered by {prompt.model!r}, which the project does not define",
                hint=f"define it in the project file: def {prompt.model}(text): ...",
                where=prompt.model,
            )
        return PromptAnswerer(prompt, model)


class PromptAnswerer:
    """A prompt and the callable that answers it."""

    def __init__(self, prompt: Prompt, model: Callable[[str], Any]) -> None:
        self._prompt = prompt
        self._model = model
        self._parts = _parts(prompt.template)

    def answer(self, frame: pl.DataFrame) -> Answers:
        """The model's answer for each row's text: float64[n] where all are numbers.

        Raises:
            DataError: the frame lacks a column that the template names.
            StepError: the model raised.
        """
        inputs = self._prompt.inputs()
        missing = [name for name in inputs if name not in frame.columns]
        if missing:
            raise DataError(
                f"the prompt needs the column {missing[0]!r}",
                hint=f"send {', '.join(inputs)}",
                where=missing[0],
            )
        answers = [self._ask(row) for row in frame.iter_rows(named=True)]
        if answers and all(isinstance(answer, int | float) for answer in answers):
            return np.asarray(answers, dtype=np.float64)
        return answers

    def _ask(self, row: dict[str, Any]) -> Any:
        text = "".join(
            literal + ("" if name is None else str(row[name])) for literal, name in self._parts
        )
        try:
            return self._model(text)
        except Exception as error:
            raise StepError.of(
                error,
                f"{self._prompt.model} raised {type(error).__name__}: {error}",
                hint="call it with the prompt's text in a Python shell to see why",
                where=self._prompt.model,
            ) from error


def _parts(template: str) -> list[tuple[str, str | None]]:
    """Literal texts, each with the column behind it.

    Only plain names: ``str.format`` itself would follow attributes of whatever a row holds.
    """
    try:
        fields = list(Formatter().parse(template))
    except ValueError as error:
        raise RequestError(
            f"the template is wrong: {error}", hint="write {{ and }} for braces of the text"
        ) from None
    for _, name, spec, conversion in fields:
        if name is not None and (not name.isidentifier() or spec or conversion):
            raise RequestError(
                f"the template names {{{name}}}, which is not a column",
                hint="write {column} with a plain column name, and {{ and }} for braces",
            )
    return [(literal, name) for literal, name, _, _ in fields]
