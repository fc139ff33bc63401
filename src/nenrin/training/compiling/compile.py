"""Compiling a registered model, in a worker: read it, lay it out, ask both forms, say what came of it."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from nenrin.core.errors import MissingExtraError, NenrinError
from nenrin.pipelines.executor import WorkerContext
from nenrin.training.artefact import Artefact
from nenrin.training.columns import of_numbers, recode, take
from nenrin.training.compiling import kernel
from nenrin.training.compiling.compiled import FORM, Compiled, form_of
from nenrin.training.compiling.converting import converted
from nenrin.training.compiling.forest import NotCompiledError
from nenrin.training.compiling.graphs import Graph, graph_form
from nenrin.training.compiling.parity import (
    ONNX_TOLERANCE,
    ROWS,
    Asked,
    Parity,
    compare,
    refused_by,
)
from nenrin.training.compiling.reading import read
from nenrin.training.containers import to_numpy
from nenrin.training.fit import open_model, open_table
from nenrin.training.table import RowTable


class CompileJob(msgspec.Struct, frozen=True, kw_only=True):
    """One model to be compiled.

    Attributes:
        model: digest of the artefact.
        table: digest of a row table whose rows the two forms are compared on.
        project: folder of the unpacked revision, whose modules a pickled model may need.
        before: only rows asked before this instant, those that it was trained on; None: all.
        seed: of the draw of rows.
    """

    model: str
    table: str
    project: str = ""
    before: int | None = None
    seed: int = 0


class Outcome(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What came of it, as the version's facts have it.

    Attributes:
        form: which :data:`FORM` of compiled models was tried; 0: none could be, so that it is tried again.
        admitted: whether the compiled form may serve.
        why: why it may not.
        runtime: what answers it: ``c``, the function that walks trees, or ``onnx``; empty for nothing.
        content: digest of the form's bytes.
        library: digest of the C function's library by the machine that it is for.
        parity: how alike the two answer.
    """

    form: int
    admitted: bool
    why: str = ""
    runtime: str = ""
    content: str = ""
    library: dict[str, str] = {}
    parity: Parity | None = None


def compile_model(context: WorkerContext, job: CompileJob) -> Outcome:
    """Compile a model and compare the two forms; what cannot be compiled says why.

    Raises:
        NenrinError: the model or the rows cannot be read at all.
    """
    if job.project:
        context.project(job.project)
    artefact, table = open_model(context, job.model), open_table(context, job.table)
    try:
        return _compiled(context, artefact, _rows(artefact, table, job), job.seed)
    except NotCompiledError as error:
        return refused(f"not known to the compiler: {error}")
    except MissingExtraError as error:
        return Outcome(form=0, admitted=False, why=f"{error.message}: {error.hint}")
    except NenrinError as error:
        return refused(error.message)
    except Exception as error:  # noqa: BLE001 - other versions of libraries have other insides
        return refused(f"it cannot be read: {type(error).__name__}: {error}")


def refused(why: str) -> Outcome:
    """The original serves, and why."""
    return Outcome(form=FORM, admitted=False, why=why)


def _rows(artefact: Artefact, table: RowTable, job: CompileJob) -> np.ndarray:
    """Real rows as the model's columns have them, float64 (at most ROWS, columns)."""
    specs = artefact.header.columns
    here = {(column.name, column.kind) for column in table.columns}
    absent = [spec.name for spec in specs if (spec.name, spec.kind) not in here]
    if absent:
        raise NotCompiledError(f"columns that rows do not have: {', '.join(absent)}")
    until = len(table) if job.before is None else int(np.searchsorted(table.asked, job.before))
    places = np.random.default_rng(job.seed).permutation(until or len(table))[:ROWS]
    if len(places) == 0:
        raise NotCompiledError("a model without rows to compare on")
    chosen = take(table.columns, np.sort(places))
    return to_numpy(recode(chosen, specs))


def _compiled(context: WorkerContext, artefact: Artefact, rows: np.ndarray, seed: int) -> Outcome:
    """Trees as tables, other models as an ONNX graph."""
    if artefact.elsewhere:
        raise NotCompiledError("a model that another server answers for")
    specs, original = artefact.header.columns, _asked(artefact)
    try:
        readout = read(artefact)
    except NotCompiledError as unknown:
        return _as_graph(context, artefact, rows, seed, unknown)
    library = kernel.built()
    if library is None:
        return Outcome(form=0, admitted=False, why="there is no C compiler here")
    data = form_of(readout, refused_by(original, specs, rows)).dumps()
    form, classes = Compiled(data, kernel.opened(library)), artefact.header.task == "binary"
    parity = compare(form, original, readout, specs, rows, classes=classes, seed=seed)
    return _outcome(context, parity, "c", data, library)


def _as_graph(
    context: WorkerContext,
    artefact: Artefact,
    rows: np.ndarray,
    seed: int,
    unknown: NotCompiledError,
) -> Outcome:
    specs, original = artefact.header.columns, _asked(artefact)
    try:
        graph = converted(artefact)
    except NotCompiledError as error:
        whys = dict.fromkeys((str(unknown), str(error)))
        raise NotCompiledError("; ".join(whys)) from error
    data = graph_form(graph, refused_by(original, specs, rows)).dumps()
    parity = compare(
        Graph(data),
        original,
        None,
        specs,
        rows,
        classes=artefact.header.task == "binary",
        seed=seed,
        tolerance=ONNX_TOLERANCE,
    )
    return _outcome(context, parity, "onnx", data)


def _outcome(
    context: WorkerContext, parity: Parity, runtime: str, data: bytes, library: bytes = b""
) -> Outcome:
    """The form is kept where it may serve."""
    if parity.refusal:
        why = parity.refusal
        return Outcome(form=FORM, admitted=False, why=why, runtime=runtime, parity=parity)
    return Outcome(
        form=FORM,
        admitted=True,
        runtime=runtime,
        content=context.store.put(data),
        library={kernel.machine(): context.store.put(library)} if library else {},
        parity=parity,
    )


def _asked(artefact: Artefact) -> Asked:
    """The original, asked with a block as the compiled form is."""
    specs = artefact.header.columns

    def ask(block: np.ndarray) -> np.ndarray:
        columns = [
            of_numbers(spec, np.ascontiguousarray(block[:, place]))
            for place, spec in enumerate(specs)
        ]
        return artefact.predict_columns(columns)

    return ask


def plain(outcome: Outcome) -> dict[str, Any]:
    """The outcome as plain values."""
    told: dict[str, Any] = msgspec.to_builtins(outcome)
    return told
