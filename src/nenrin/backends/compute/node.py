"""What a node of a cluster needs of its own: a folder, a content store, the revisions that work is from."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from nenrin.backends.blobs.opening import store_at
from nenrin.core.digest import digest
from nenrin.core.errors import NotFoundError, RefusedError
from nenrin.core.settings import Settings
from nenrin.core.store import ContentStore
from nenrin.pipelines.packages import installed
from nenrin.project.revision import Revision, found, unpack

FOLDER = "NENRIN_NODE_FOLDER"
_SHOWN = 5  # differing packages that are named


def node_folder() -> Path:
    """The folder in which this machine keeps what it has unpacked."""
    return _folder(os.environ.get(FOLDER), os.environ.get("XDG_CACHE_HOME"))


@cache
def _folder(_given: str | None, caches: str | None) -> Path:
    """The folder by what the variables say: reading all settings takes longer than a task's fork."""
    given = Settings.read().node_folder
    return Path(given or Path(caches or Path.home() / ".cache", "nenrin")).absolute()


def scratch_folder() -> Path:
    """A new folder for one task."""
    below = node_folder() / "scratch"
    below.mkdir(parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(dir=below))


def store_of_node(place: str) -> ContentStore:
    """The content store that driver and nodes share, as this machine opens it."""
    return store_at(place, node_folder())


def revision_on_node(store: ContentStore, name: str) -> Path:
    """The folder in which this machine has unpacked a revision.

    Args:
        store: has the revision's contents.
        name: ends with the revision's digest.

    Raises:
        NotFoundError: the store does not know the revision.
        RefusedError: this machine's Python or packages are not those of the revision.
    """
    revision, folder = Path(name).name, node_folder() / "revisions"
    checked = folder / f".{revision}-{_environment()}"
    if not checked.exists():
        known = _known(store, revision)
        check(known, platform.python_version(), installed())
        unpack(known, store, folder)
        checked.touch()
    return folder / revision


def check(revision: Revision, python: str, packages: Iterable[str]) -> None:
    """Refuse to run a revision under another Python or with other packages: its results would bear its name.

    What is installed beyond the revision's packages does no harm.

    Args:
        revision: has the locked versions.
        python: this machine's version.
        packages: ``name==version`` of what is installed here.

    Raises:
        RefusedError: says what differs.
    """
    here = dict(package.split("==", 1) for package in packages)
    locked = dict(package.split("==", 1) for package in revision.packages)
    other = [
        f"{name} is {here.get(name, 'missing')}, wanted {version}"
        for name, version in locked.items()
        if here.get(name) != version
    ]
    if python != revision.python:
        other.insert(0, f"Python is {python}, wanted {revision.python}")
    if other:
        more = f", and {len(other) - _SHOWN} more" if len(other) > _SHOWN else ""
        raise RefusedError(
            f"node {platform.node()} is not as {revision.id} locked it: "
            f"{'; '.join(other[:_SHOWN])}{more}",
            hint="install the same versions on every node (pip freeze here, pip install -r there), "
            "and start Ray there again",
        )


def _known(store: ContentStore, revision: str) -> Revision:
    try:
        return found(revision, store)
    except NotFoundError as error:
        error.hint = "nodes and driver must share one content store: set NENRIN_STORE_URL"
        raise


def _environment() -> str:
    """Changes when something is installed here."""
    places = [(place, _changed(place)) for place in sorted({sys.prefix, *sys.path})]
    return digest([platform.python_version(), places])[:16]


def _changed(place: str) -> int:
    try:
        return Path(place).stat().st_mtime_ns
    except OSError:
        return 0
