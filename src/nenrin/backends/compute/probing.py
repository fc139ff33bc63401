"""What importing a project does, found out in a process of its own: it may raise, hang, or end it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import msgspec

from nenrin.backends.compute import leftovers
from nenrin.backends.compute.apart import import_path
from nenrin.core.errors import NenrinError
from nenrin.core.importing import ONE_THREAD
from nenrin.project.loader import FILE, load_project

PATIENCE = 60.0  # seconds that an import may take
_MAIN = "from nenrin.backends.compute.probing import main; main()"
_WATCHED = Path("/proc/self/task").is_dir()


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """What came of importing a project.

    Attributes:
        declares: how many things it declares.
        left: threads and open files that the import left behind, as people call them.
        who: the statement that left them; empty where nothing is left.
        error: what was wrong, as errors are told; empty where nothing was.
    """

    declares: int = 0
    left: tuple[str, ...] = ()
    who: str = ""
    error: dict[str, str] = {}


def probe(folder: Path) -> Probed:
    """Import the project of a folder in a fresh interpreter, and say what came of it."""
    try:
        ran = subprocess.run(
            [sys.executable, "-P", "-c", _MAIN, str(folder), *import_path()],
            env={**os.environ, **ONE_THREAD},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return _failed(f"importing it takes longer than {PATIENCE:.0f} s", folder)
    _, mark, said = ran.stdout.rpartition(b"\0")
    if not mark:
        return _failed(f"importing it ended the process, with code {ran.returncode}", folder)
    probed = msgspec.json.decode(said, type=Probed)
    if not probed.left:
        return probed
    who = leftovers.who(folder / FILE, import_path())
    return msgspec.structs.replace(probed, who=who)


def main() -> None:
    """Import, and print what came of it after whatever the project prints."""
    folder, *path = sys.argv[1:]
    sys.path.extend(entry for entry in path if entry not in sys.path)
    before = leftovers.left() if _WATCHED else {}
    try:
        project = load_project(Path(folder))
    except NenrinError as error:
        told = error.as_dict()
        probed = Probed(
            error={name: str(told.get(name, "")) for name in ("message", "where", "hint")}
        )
    else:
        after = leftovers.left() if _WATCHED else {}
        left = sorted({after[key] for key in after.keys() - before.keys()})
        models, rest = (project.models, project.deployments), (project.datasets, project.views)
        declares = sum(len(part) for part in (*models, *rest, project.steps))
        probed = Probed(declares=declares, left=tuple(left))
    sys.stdout.flush()
    os.write(1, b"\0" + msgspec.json.encode(probed))
    os._exit(0)


def _failed(what: str, folder: Path) -> Probed:
    error = {
        "message": what,
        "where": str(folder / FILE),
        "hint": "look at what it does at the top",
    }
    return Probed(error=error)
