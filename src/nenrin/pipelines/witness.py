"""What a step reads that it has not declared: files, connections, programs, seen while it runs.

Seen by Python's audit hooks (PEP 578), and by the doors of polars, which opens files on its own. Libraries
that open files or sockets in C without asking Python (pyarrow, obstore, database drivers) are not seen.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from types import FrameType, FunctionType
from typing import Any

_SYSTEM = ("/proc", "/sys", "/dev", "/etc", "/usr/lib", "/usr/share", "/lib", "/System", "/Library")
_READING_CODE = ("<frozen importlib", "<frozen zipimport", "/linecache.py", "/inspect.py")
_COMMANDS = frozenset({"subprocess.Popen", "os.exec", "os.posix_spawn", "os.spawn", "os.system"})
_SOCKETS = frozenset({"socket.connect", "socket.sendto"})
_WRITING = os.O_WRONLY | os.O_CREAT | os.O_TRUNC

_watching: list[Seen] = []


class Seen:
    """What was read and not declared, in the order in which it was first seen.

    Args:
        allowed: files and folders that may be read.
    """

    def __init__(self, allowed: Iterable[Path]) -> None:
        places = {place for path in allowed for place in (_absolute(path), os.path.realpath(path))}
        self._allowed = tuple(sorted(places | _interpreter()))
        self._files: dict[str, None] = {}
        self._connections: dict[str, None] = {}
        self._commands: dict[str, None] = {}
        self._written: set[str] = set()

    @property
    def files(self) -> tuple[Path, ...]:
        """Files that were opened for reading, which others had written."""
        return tuple(map(Path, self._files))

    @property
    def connections(self) -> tuple[str, ...]:
        """``host:port``, or the path of a socket, of what was connected to."""
        return tuple(self._connections)

    @property
    def commands(self) -> tuple[str, ...]:
        """Programs that were started."""
        return tuple(self._commands)

    def opened(self, path: object, mode: object, flags: object) -> None:
        """A file is opened."""
        name = _path(path)
        if name is None or self._may_read(name):
            return
        writes = (isinstance(mode, str) and mode[:1] in "wax") or (
            isinstance(flags, int) and bool(flags & _WRITING)
        )
        if writes:
            self._written.add(name)
        elif name not in self._written and Path(name).is_file() and not _for_code():
            self._files[name] = None

    def connected(self, address: object) -> None:
        """A socket is connected, or sent to."""
        if isinstance(address, tuple) and len(address) > 1:
            self._connections[f"{address[0]}:{address[1]}"] = None
        elif isinstance(address, (str, bytes)):
            name = _absolute(os.fsdecode(address))
            if not self._may_read(name):
                self._connections[name] = None

    def started(self, command: object) -> None:
        """A program is started."""
        if isinstance(command, (list, tuple)) and command:
            command = command[0]
        if isinstance(command, (str, bytes, os.PathLike)):
            self._commands[os.fsdecode(command)] = None

    def _may_read(self, name: str) -> bool:
        return any(
            name == place or name.startswith(f"{place.rstrip(os.sep)}{os.sep}")
            for place in self._allowed
        )


@contextmanager
def witnessed(allowed: Iterable[Path]) -> Iterator[Seen]:
    """Watch what this process reads, in all its threads.

    Args:
        allowed: files and folders that may be read; the interpreter's, its packages' and the system's may.
    """
    seen = Seen(allowed)
    _listen()
    with _polars_doors():
        _watching.append(seen)
        try:
            yield seen
        finally:
            _watching.remove(seen)


@cache
def _listen() -> None:
    """Once a process: a hook cannot be taken away again."""
    sys.addaudithook(_hook)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if not _watching:
        return  # all that it costs while no step runs
    try:
        for seen in tuple(_watching):
            _tell(seen, event, args)
    except Exception:  # noqa: BLE001 - an error here would end what the step does
        return


def _tell(seen: Seen, event: str, args: tuple[Any, ...]) -> None:
    if event == "open":
        seen.opened(*args[:3])
    elif event == "sqlite3.connect":
        seen.opened(args[0], "r", 0)
    elif event in _SOCKETS:
        seen.connected(args[1])
    elif event in _COMMANDS:
        seen.started(args[1] if event == "os.spawn" else args[0] or args[1])


def _path(path: object) -> str | None:
    """A path as it was named, made absolute; None for an open file's number."""
    if not isinstance(path, (str, bytes, os.PathLike)):
        return None
    return _absolute(os.fsdecode(path))


def _absolute(path: str | os.PathLike[str]) -> str:
    """Links are not followed: a declared file may be one, to where it really lies."""
    return os.path.normpath(Path.cwd() / path)


def _for_code() -> bool:
    """Whether a file is opened to import it, or to show its lines: the key has the code."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the one way to know who asks
    while frame is not None:
        if any(part in frame.f_code.co_filename for part in _READING_CODE):
            return True
        frame = frame.f_back
    return False


@cache
def _interpreter() -> frozenset[str]:
    """Folders of the interpreter, of installed packages and of the system."""
    named = [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.executable, *_SYSTEM]
    named += [*site.getsitepackages(), *sysconfig.get_paths().values()]
    if site.ENABLE_USER_SITE and site.USER_SITE:
        named.append(site.USER_SITE)
    named += [path for path in sys.path if path.endswith((".zip", "-packages"))]
    return frozenset(each for path in named for each in (_absolute(path), os.path.realpath(path)))


@contextmanager
def _polars_doors() -> Iterator[None]:
    """polars opens files without Python: its reading functions tell of what they are given."""
    polars = sys.modules.get("polars")
    doors = (
        {
            name: function
            for name, function in vars(polars).items()
            if name.startswith(("read_", "scan_")) and isinstance(function, FunctionType)
        }
        if polars is not None
        else {}
    )
    for name, function in doors.items():
        setattr(polars, name, _telling(function))
    try:
        yield
    finally:
        for name, function in doors.items():
            setattr(polars, name, function)


def _telling(function: FunctionType) -> Callable[..., Any]:
    @wraps(function)
    def told(*args: Any, **kwargs: Any) -> Any:
        given = args[0] if args else kwargs.get("source")
        for path in given if isinstance(given, (list, tuple)) else [given]:
            if isinstance(path, (str, os.PathLike)):
                _told(os.fspath(path))
        return function(*args, **kwargs)

    return told


def _told(path: str) -> None:
    scheme, address, rest = path.partition("://")
    for seen in tuple(_watching):
        if address and scheme != "file":
            seen.connected((f"{scheme}://{rest.split('/')[0]}", "443"))
        else:
            seen.opened(rest or path, "r", 0)
