"""The C function that walks trees: compiled once a machine, of one source, for every model."""

from __future__ import annotations

import ctypes
import functools
import platform
import shutil
import subprocess
import sys
import tempfile
from importlib import resources
from pathlib import Path

_COMPILERS = ("cc", "gcc", "clang")
# No two operations in one rounding (-ffp-contract), or answers would differ from machine to machine.
_OPTIONS = ("-O3", "-ffp-contract=off", "-fPIC", "-shared", "-x", "c")
_SECONDS = 60


def machine() -> str:
    """What a compiled library is for: system, architecture and C library."""
    architecture = platform.machine().replace("_", "-")
    return f"{sys.platform}-{architecture}-{platform.libc_ver()[0] or 'libc'}"


@functools.cache
def built() -> bytes | None:
    """The compiled library; None where there is no C compiler, or it cannot do it."""
    compiler = next((found for each in _COMPILERS if (found := shutil.which(each))), None)
    if compiler is None:
        return None
    source = resources.files(__package__).joinpath("walk.c").read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "walk.so"
        command = (compiler, *_OPTIONS, "-o", str(out), "-", "-lm")
        try:
            done = subprocess.run(
                command, input=source, capture_output=True, timeout=_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return out.read_bytes() if done.returncode == 0 and out.exists() else None


@functools.cache
def opened(data: bytes) -> ctypes.CDLL:
    """A compiled library, loaded once a process.

    It is loaded from a copy of its own: a file that is written anew under a loaded library ends the process.

    Raises:
        OSError: it is not for this machine.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "walk.so"
        path.write_bytes(data)
        library = ctypes.CDLL(str(path))  # what is loaded outlives the file
    library.nenrin_walk.restype = ctypes.c_int64
    library.nenrin_walk.argtypes = (
        ctypes.c_void_p,
        ctypes.c_void_p,
        ctypes.c_int64,
        ctypes.c_void_p,
    )
    return library
