"""Another deployment of the project's model, declared in a file beside the project file."""

from __future__ import annotations

from pathlib import Path

from nenrin.core.errors import NotFoundError, ProjectError, RequestError
from nenrin.loop.declare import Deployment
from nenrin.project.loader import FILE, imported


def declared_in(folder: Path, file: str, name: str, model: str) -> Deployment:
    """The deployment ``name`` of ``file``, which imports its model from the project file.

    Args:
        folder: the project's folder.
        file: a Python file in it, such as ``other.py``.
        name: a variable of that file.
        model: name of the model that is replayed.

    Raises:
        ProjectError: the file is missing, is no Python, or raises when it is imported.
        NotFoundError: it declares no such deployment.
        RequestError: its model is another, or is not the one of the project file.
    """
    path = folder / file
    if path.parent != folder or not path.is_file():
        raise ProjectError(
            f"there is no {file} beside {FILE}",
            hint=f"write it there: from project import {model}, then {name} = nr.deployment({model}, …)",
            where=str(path),
        )
    found = vars(imported(path)).get(name)
    if not isinstance(found, Deployment):
        raise NotFoundError(
            f"{file} declares no deployment {name!r}",
            hint=f"{name} = nr.deployment({model}, …)",
            where=str(path),
        )
    found.model.named(model)
    function = found.model.function
    own = function is None or function.__code__.co_filename == str(folder / FILE)
    if found.model.declared.name != model or not own:
        raise RequestError(
            f"{file}:{name} deploys another model than {model!r} of {FILE}",
            hint=f"from project import {model}: a policy is another deployment of the same model; another "
            "model is another project",
            where=found.declared.where,
        )
    return found
