"""The first project file: written for somebody's own table, or copied from an example."""

from __future__ import annotations

import keyword
import os
import re
from importlib import resources
from pathlib import Path

import msgspec

from nenrin.core.errors import ConflictError, NotFoundError
from nenrin.data.declare import columns_hidden_by_words
from nenrin.project.inference import Inferred, infer

__all__ = ["Inferred", "examples", "infer", "project_text", "write_example", "write_project"]

_FILE = "project.py"
_TAKEN = {"nr", "rows", "service", "LGBMClassifier", "LGBMRegressor"}


def write_project(folder: Path, inferred: Inferred) -> Path:
    """Write ``project.py`` into ``folder``, with the table's path relative to it.

    Raises:
        ConflictError: the folder has one already.
    """
    return _write(folder, project_text(inferred, os.path.relpath(inferred.path, folder)))


def project_text(inferred: Inferred, file: str) -> str:
    """The project file for what was inferred, as text."""
    rows = _identifier(inferred.path.stem, "rows")
    model = _identifier(inferred.target, "model", taken=rows)
    label = _column(rows, inferred.target)
    if inferred.positive is not None:
        label += f" == {_literal(inferred.positive)}"
    learner, metric = {
        "binary": ("LGBMClassifier", "log_loss"),
        "regression": ("LGBMRegressor", "rmse"),
    }[inferred.task]
    source = [_literal(Path(file).as_posix())]
    if inferred.key:
        key = inferred.key[0] if len(inferred.key) == 1 else list(inferred.key)
        source.append(f"key={_literal(key)}")
    if inferred.time:
        source.append(f"time={_literal(inferred.time)}")
    words = [f"rows={rows}", f"label={label}", f"metric={_literal(metric)}"]
    if inferred.drop:
        words.append(f"drop={_literal(list(inferred.drop))}")
    left_out = inferred.drop.items()
    reasons = "".join(f"# left out: {' '.join(name.split())}, {why}\n" for name, why in left_out)
    title = re.sub(r'["\\\s]+', " ", f"Predicts {inferred.target} of {inferred.path.name}.")
    return f'''"""{title}"""
import nenrin as nr
from lightgbm import {learner}

{rows} = nr.file({", ".join(source)})

{reasons}@nr.model({", ".join(words)})
def {model}(rows):
    return {learner}(n_jobs=1).fit(rows.pandas(), rows.y, sample_weight=rows.weight)

service = nr.deployment({model})
'''


def write_example(folder: Path, name: str) -> Path:
    """Copy the example ``name`` into ``folder``.

    Raises:
        NotFoundError: there is no such example.
        ConflictError: the folder has a project file already.
    """
    if name not in examples():
        raise NotFoundError(
            f"there is no example {name!r}", hint=f"the examples are {', '.join(examples())}"
        )
    return _write(folder, (_examples() / name / _FILE).read_text(encoding="utf-8"))


def examples() -> list[str]:
    """The names of the examples, sorted."""
    return sorted(entry.name for entry in _examples().iterdir() if (entry / _FILE).is_file())


def _examples() -> resources.abc.Traversable:
    return resources.files("nenrin.project") / "examples"


def _write(folder: Path, text: str) -> Path:
    path = folder / _FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConflictError(
            f"there is a {_FILE} in {folder} already",
            hint="go to an empty folder, or move the file away",
            where=str(path),
        ) from error
    return path


def _identifier(text: str, what: str, taken: str = "") -> str:
    """A name for ``what`` that reads like ``text`` and that no other line of the file uses."""
    name = re.sub(r"\W+", "_", text.strip().lower(), flags=re.ASCII).strip("_") or what
    if name[0].isdigit() or keyword.iskeyword(name) or name in (*_TAKEN, taken):
        name = f"{what}_{name}"
    return name


def _column(rows: str, name: str) -> str:
    plain = name.isidentifier() and not keyword.iskeyword(name) and not name.startswith("_")
    hidden = columns_hidden_by_words([name])
    return f"{rows}.{name}" if plain and not hidden else f"{rows}[{_literal(name)}]"


def _literal(value: object) -> str:
    """``value`` as Python source with double quotes."""
    if isinstance(value, list):
        return f"[{', '.join(_literal(item) for item in value)}]"
    if isinstance(value, str):
        return msgspec.json.encode(value).decode()
    return repr(value)
