"""What importing leaves behind in a process: threads and open files that a forked child must not inherit.

A child has none of its parent's threads, but all of their locks, as they were: a pool that has computed
once hangs every child that uses it. A connection that two processes share mixes their words up.
"""

from __future__ import annotations
import __future__

import ast
import importlib.util
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from nenrin.core.timer import SystemTimer

# Threads that libraries start when they are imported, and that forked children do well without.
KNOWN = frozenset({"jemalloc_bg_thd", "polars-ooc-clea"})
_FUTURE = sum(getattr(__future__, name).compiler_flag for name in __future__.all_feature_names)
_SEARCH = "from nenrin.backends.compute.leftovers import main; main()"
_NAMING = 0.2  # seconds that a new thread gets to take its name
_PATIENCE = 120.0  # seconds that a search gets: it imports everything anew


def left() -> dict[str, str]:
    """What is there now, by what identifies it: how people call it. Linux only."""
    return {**threads(), **_files()}


def threads() -> dict[str, str]:
    """Threads beside the first one and those of :data:`KNOWN`, as :func:`left` has them."""
    own = _name(str(os.getpid()))
    until = SystemTimer().wall() + _NAMING
    while own in (names := _names()).values() and SystemTimer().wall() < until:
        SystemTimer().sleep(0.005)
    return {
        f"thread {thread}": f"the thread {name}"
        for thread, name in names.items()
        if name not in KNOWN
    }


def _names() -> dict[str, str]:
    """Names of the threads beside the first one. A new thread has the process' name until it has its own."""
    listed = os.listdir("/proc/self/task")  # noqa: PTH208 - read before every fork
    named = {thread: _name(thread) for thread in listed if int(thread) != os.getpid()}
    return {thread: name for thread, name in named.items() if name}


def _name(thread: str) -> str:
    """Its name; empty when it has ended since."""
    try:
        return Path(f"/proc/self/task/{thread}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _files() -> dict[str, str]:
    """Sockets, and files that can be written to."""
    found = {}
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        try:
            status = os.fstat(int(name))
            target = os.readlink(f"/proc/self/fd/{name}")  # noqa: PTH115
        except OSError:
            continue
        if stat.S_ISSOCK(status.st_mode):
            found[f"file {name} {target}"] = "an open connection"
        elif stat.S_ISREG(status.st_mode) and _written(name):
            found[f"file {name} {target}"] = f"the open file {target}"
    return found


def _written(descriptor: str) -> bool:
    lines = Path(f"/proc/self/fdinfo/{descriptor}").read_text(encoding="utf-8").splitlines()
    flags = next((int(line.split()[1], 8) for line in lines if line.startswith("flags:")), 0)
    return flags & os.O_ACCMODE != os.O_RDONLY


def who(file: Path, path: list[str]) -> str:
    """The statement of a Python file that leaves something behind, from a process made for the search.

    Args:
        file: run statement by statement.
        path: where modules are found.
    """
    try:
        found = subprocess.run(
            [sys.executable, "-P", "-c", _SEARCH, str(file), *path],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
            check=False,
            text=True,
        )
    except subprocess.TimeoutExpired:
        return ""
    return found.stdout.rpartition("\0")[2].strip()


def main() -> None:
    """Search, in a process of its own, and print what was found after whatever the file prints."""
    file, *path = sys.argv[1:]
    sys.path.extend(entry for entry in path if entry not in sys.path)
    print(f"\0{searched(Path(file))}", flush=True)
    os._exit(0)


def searched(file: Path) -> str:
    """Run a file in this process until something is left behind; ``file:line`` and statement, or empty."""
    source = file.read_bytes()
    flags = compile(source, str(file), "exec", dont_inherit=True).co_flags & _FUTURE
    spec = importlib.util.spec_from_file_location("nenrin_searched", file)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["nenrin_searched"] = module
    sys.path.insert(0, str(file.parent))
    before = left()
    for statement in ast.parse(source, str(file)).body:
        one: Any = ast.Module([statement], [])
        exec(compile(one, str(file), "exec", flags, dont_inherit=True), vars(module))
        if left().keys() - before.keys():
            return f"{file}:{statement.lineno}: {ast.unparse(statement).splitlines()[0]}"
    return ""
