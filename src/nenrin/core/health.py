"""What a machine and a folder need for nenrin to work, looked at one thing at a time; nothing is changed.

Where a check cannot look, it says so. What needs more than the standard library (the database, the project)
is looked at elsewhere.
"""

from __future__ import annotations

import fcntl
import os
import platform
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from nenrin.core.lock import FolderLock

Health = Literal["ok", "warn", "fail"]

LITTLE = 1_000_000_000  # bytes of free disk below which it is said; a year of the example takes 0.2 of them
TOO_LITTLE = 100_000_000
_FEW = 10_000  # free inodes below which it is said: a content store is many small files
# what the wheels of polars are built for (its "Installation" page); older processors need another wheel
_FEATURES = frozenset({"avx", "avx2", "bmi1", "bmi2", "fma", "movbe"})
_OLDEST_SQLITE = (3, 37)
_NAME = re.compile(r"([A-Za-z0-9_.-]+)\s*(?:\[.*?\])?\s*(?:>=\s*([0-9.]+))?")


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one thing.

    Attributes:
        name: the thing.
        health: ``ok``; ``warn``: it works, and may not for long; ``fail``: something does not work.
        found: what was seen.
        do: what to do about it; empty where nothing is.
    """

    name: str
    health: Health = "ok"
    found: str
    do: str = ""


def machine() -> Iterator[Finding]:
    """What does not depend on a folder."""
    yield from _looked(
        {
            "python": python,
            "packages": packages,
            "sqlite": sqlite,
            "processor": processor,
            "compiling": compiling,
            "time zones": time_zones,
            "temporary files": lambda: disk("temporary files", Path(tempfile.gettempdir())),
        }
    )


def folder(state: Path) -> Iterator[Finding]:
    """What of the folder can be seen without opening what it holds; ``state`` is its ``.nenrin``."""
    yield from _looked(
        {
            "disk": lambda: disk("disk", state),
            "permissions": lambda: permissions(state),
            "file locks": lambda: file_locks(state),
            "lock": lambda: lock(state),
        }
    )


def python() -> Finding:
    """The interpreter."""
    return Finding(name="python", found=f"{platform.python_version()} at {sys.executable}")


def packages() -> Finding:
    """Every package that nenrin stands on, in a version that it is written for."""
    wrong = []
    for line in requires("nenrin") or ():
        if ";" in line:
            continue  # of an extra
        match = _NAME.match(line)
        assert match is not None
        name, least = match.groups()
        try:
            found = version(name)
        except PackageNotFoundError:
            wrong.append(f"{name} is missing")
            continue
        if least and _numbers(found) < _numbers(least):
            wrong.append(f"{name} is {found}, {least} is wanted")
    if wrong:
        return Finding(
            name="packages",
            health="fail",
            found="; ".join(wrong),
            do=f"{sys.executable} -m pip install --upgrade nenrin",
        )
    return Finding(name="packages", found=f"nenrin {version('nenrin')} and what it stands on")


def sqlite() -> Finding:
    """The SQLite that Python was built with."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        return Finding(
            name="sqlite",
            health="fail",
            found=f"{sqlite3.sqlite_version}, {'.'.join(map(str, _OLDEST_SQLITE))} is wanted",
            do="use a newer Python: it brings a newer SQLite",
        )
    return Finding(name="sqlite", found=sqlite3.sqlite_version)


def processor(info: Path = Path("/proc/cpuinfo")) -> Finding:
    """What the processor can do that polars was built for."""
    kind = platform.machine()
    if kind not in ("x86_64", "AMD64") or not info.is_file():
        return Finding(name="processor", found=kind)
    flags = set(re.findall(r"^flags\s*:\s*(.*)$", info.read_text(), re.MULTILINE)[0].split())
    missing = sorted(_FEATURES - flags)
    if missing:
        return Finding(
            name="processor",
            health="fail",
            found=f"{kind} without {', '.join(missing)}, which polars is built for",
            do=f'{sys.executable} -m pip install "polars[rtcompat]"',
        )
    return Finding(name="processor", found=f"{kind}, {os.cpu_count()} cores, all that polars needs")


def compiling() -> Finding:
    """What models can be compiled with here; all others are served as they are."""
    tools = {
        "trees: a C compiler": any(shutil.which(each) for each in ("cc", "gcc", "clang")),
        "other models: skl2onnx": all(find_spec(each) for each in ("skl2onnx", "onnxruntime")),
    }
    missing = [tool for tool, there in tools.items() if not there]
    if not missing:
        return Finding(name="compiling", found="trees and other models")
    return Finding(
        name="compiling",
        found=f"models are served as they are without it ({'; '.join(missing)})",
        do=f'install a C compiler (cc), {sys.executable} -m pip install "nenrin[compile]"',
    )


def time_zones() -> Finding:
    """Whether local times can be told."""
    try:
        ZoneInfo("America/New_York")
    except ZoneInfoNotFoundError:
        return Finding(
            name="time zones",
            health="fail",
            found="this machine has no time zone database",
            do=f"{sys.executable} -m pip install tzdata",
        )
    return Finding(name="time zones", found="known")


def disk(name: str, path: Path) -> Finding:
    """Bytes and files that the disk of a folder has room for."""
    place = next(each for each in (path, *path.parents) if each.exists())
    free = shutil.disk_usage(place).free
    status = os.statvfs(place)
    said = f"{free / 1e9:.1f} GB free at {place}"
    few = status.f_files > 0 and status.f_favail < _FEW
    if few:
        said += f", for {status.f_favail} more files"
    if free >= LITTLE and not few:
        return Finding(name=name, found=said)
    return Finding(
        name=name,
        health="fail" if free < TOO_LITTLE else "warn",
        found=said,
        do="make room: nenrin prune --dry-run says what can go",
    )


def permissions(state: Path) -> Finding:
    """Whether this user may read and write what is kept, and nobody else its keys."""
    if not state.exists():
        place = state.parent
        if os.access(place, os.W_OK | os.X_OK):
            return Finding(name="permissions", found="nothing is kept yet, and it can be")
        return _forbidden(place)
    for path in (state, *sorted(state.iterdir())):
        wanted = os.R_OK | os.W_OK | (os.X_OK if path.is_dir() else 0)
        if not path.is_socket() and not os.access(path, wanted):
            return _forbidden(path)
    keys = state / "keys"
    open_ = [path for path in keys.glob("*") if path.stat().st_mode & 0o077 and _private(path)]
    if open_:
        return Finding(
            name="permissions",
            health="warn",
            found=f"others may read {open_[0]}, which signs checkpoints",
            do=f"chmod 600 {open_[0]}",
        )
    return Finding(name="permissions", found=f"{state} can be read and written")


def file_locks(state: Path) -> Finding:
    """Whether the file system keeps two processes apart."""
    if not state.is_dir() or not os.access(state, os.W_OK):
        return Finding(name="file locks", found="not looked at: there is nothing to lock yet")
    with (
        tempfile.NamedTemporaryFile(dir=state, prefix="doctor-") as one,
        Path(one.name).open() as other,
    ):
        fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return Finding(name="file locks", found="kept")
    return Finding(
        name="file locks",
        health="fail",
        found=f"the file system of {state} does not keep locks: two processes could write at once",
        do="keep the folder on a local disk",
    )


def lock(state: Path) -> Finding:
    """Who holds the folder."""
    holder = FolderLock(state).held_by()
    if holder is None:
        return Finding(name="lock", found="nobody holds the folder")
    frozen = _state_of(holder) == "T"
    if frozen:
        return Finding(
            name="lock",
            health="fail",
            found=f"process {holder} holds the folder and is stopped",
            do=f"let it go on (kill -CONT {holder}) or end it (kill -KILL {holder})",
        )
    return Finding(name="lock", found=f"process {holder} holds the folder, and runs")


def clock(now: int, newest: Mapping[str, int], told: Callable[[int], str]) -> Finding:
    """Whether the clock goes before what the ledger has seen.

    Args:
        now: microseconds UTC.
        newest: of each live environment the instant of its newest event, as it was recorded.
        told: an instant for people.
    """
    ahead = {name: at for name, at in newest.items() if at > now}
    if ahead:
        name, at = max(ahead.items(), key=lambda item: item[1])
        return Finding(
            name="clock",
            health="fail",
            found=f"it says {told(now)}, and {name} has an event of {told(at)}",
            do="set the clock (timedatectl set-ntp true), before anything is recorded",
        )
    return Finding(name="clock", found=told(now))


def _looked(checks: Mapping[str, Callable[[], Finding]]) -> Iterator[Finding]:
    for name, check in checks.items():
        try:
            yield check()
        except OSError as error:
            yield Finding(
                name=name,
                health="fail",
                found=f"cannot be looked at: {error}",
                do=f"see to {error.filename or 'it'}, then ask again",
            )


def _forbidden(path: Path) -> Finding:
    return Finding(
        name="permissions",
        health="fail",
        found=f"this user may not read and write {path}",
        do=f"chown -R {os.getuid()} {path}, or work as its owner {path.stat().st_uid}",
    )


def _private(path: Path) -> bool:
    return not path.name.endswith(".pub")


def _state_of(pid: int) -> str:
    """The letter of a process' state; empty where it cannot be told."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:3])
