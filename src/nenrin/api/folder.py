"""Where the control process keeps what is its own, in the folder ``.nenrin`` of a project."""

from __future__ import annotations

import os
import tempfile
from hashlib import sha256
from pathlib import Path

from nenrin.core.errors import RefusedError

# sun_path holds 104 bytes on macOS and 108 on Linux, its closing zero among them.
_LONGEST_SOCKET = 100


def log_file(state_folder: Path) -> Path:
    """Where tracebacks go, so that nobody is shown one."""
    return state_folder / "nenrin.log"


def predictions_folder(state_folder: Path) -> Path:
    """Where the data plane keeps its log of predictions, and the lock that says that it is there."""
    return state_folder / "predictions"


def work_folder(state_folder: Path) -> Path:
    """Where long work that has not ended is kept."""
    return state_folder / "work"


def scratch(state_folder: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder for files on their way in or out, beside the rest; removed when closed."""
    state_folder.mkdir(parents=True, exist_ok=True)
    return tempfile.TemporaryDirectory(dir=state_folder, prefix="scratch-")


def control_socket(state_folder: Path) -> Path:
    """The socket of the folder's control process.

    Raises:
        RefusedError: as :func:`_socket`.
    """
    return _socket(state_folder, "control")


def door_of(state_folder: Path, worker: int) -> Path:
    """The socket at which a data plane gives its listening sockets.

    Raises:
        RefusedError: as :func:`_socket`.
    """
    return _socket(state_folder, f"plane-{worker}")


def _socket(state_folder: Path, name: str) -> Path:
    """The path of a socket.

    One too long for a socket moves to a private folder under the temporary one, under a name that
    every process derives alike.

    Raises:
        RefusedError: somebody else made that private folder.
    """
    path = state_folder.resolve() / f"{name}.sock"
    if len(os.fsencode(path)) <= _LONGEST_SOCKET:
        return path
    private = Path(tempfile.gettempdir()) / f"nenrin-{os.getuid()}"
    private.mkdir(mode=0o700, exist_ok=True)
    found = private.stat()
    if found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise RefusedError(
            f"{private} belongs to somebody else, or others may enter it",
            hint="remove it, or set TMPDIR to a folder of your own",
        )
    return private / f"{sha256(os.fsencode(path)).hexdigest()[:24]}.sock"
