"""Writes what exports write, byte by byte, into ``tests/integrations/golden``: ``make golden``.

Do so when an export changes on purpose; the change then stands in the diff, where it can be read.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from nenrin.backends.blobs.local import LocalStore
from nenrin.integrations.container import context
from nenrin.integrations.exports import Exports, Kind
from nenrin.project.revision import Revision

GOLDEN = Path(__file__).parent / "golden"
IMAGE = "registry.example.com/team/delay:1"
REVISION = Revision(
    id="revision-0123456789ab",
    digest="0123456789ab" + "0" * 52,
    source="f" * 64,
    files=(),
    python="3.11.7",
    packages=("lightgbm==4.6.0", "nenrin==0.1.0"),
)


def write(folder: Path) -> None:
    """Every file of every export, in a folder for each kind."""
    exports = Exports(LocalStore(folder / "store"), lambda _: REVISION, dict)
    kinds: tuple[Kind, ...] = ("kubernetes", "kserve")
    for kind in kinds:
        exports.write("prod", kind, folder / kind, IMAGE)
    for name, data in context(REVISION, "prod").items():
        path = folder / "container" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def contents(folder: Path) -> dict[str, bytes]:
    """The bytes of every file below a folder, by path."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


if __name__ == "__main__":
    shutil.rmtree(GOLDEN, ignore_errors=True)
    write(GOLDEN)
