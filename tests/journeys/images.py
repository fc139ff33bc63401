"""What an image is built from where no registry can be reached: a base, and an environment worth locking."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path
from unittest import mock

from packaging.requirements import Requirement

_STDLIB = Path(sysconfig.get_path("stdlib"))
_SITE = "site-packages"
_LEFT_OUT = (_SITE, "test", "idlelib", "lib2to3", "tkinter", "_tkinter*", "config-*")
_TOOLS = ("sh", "env", "mkdir", "chown", "useradd")  # what the Dockerfile asks of a slim image
# what manylinux wheels ask of it beyond Python's own
_LIBRARIES = (
    *("libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1"),
    *("libgcc_s.so.1", "libstdc++.so.6"),
)

VARIABLES = ("ENV PATH=/usr/local/bin:/usr/sbin:/usr/bin", "ENV LD_LIBRARY_PATH=/usr/local/lib")
"""What an image of :func:`python_root` is run with."""

_BASE = "\n".join(("FROM scratch", "COPY root /", *VARIABLES, ""))


@contextmanager
def storage(folder: Path) -> Iterator[None]:
    """Buildah's storage of its own; nothing of it is left."""
    folder.mkdir()
    config = folder / "storage.conf"
    config.write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/root"\nrunroot = "{folder}/run"\n'
    )
    with mock.patch.dict(os.environ, {"CONTAINERS_STORAGE_CONF": str(config)}):
        try:
            yield
        finally:
            for word in ("rm", "rmi"):
                subprocess.run(["buildah", word, "--all"], check=True, capture_output=True)
            shutil.rmtree(folder)


def python_root(root: Path) -> None:
    """The root of an image: this machine's Python, pip, a shell and the libraries that these need."""
    for name in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "etc", "tmp", "proc", "dev", "sys"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    python = root / "usr/local/lib" / _STDLIB.name
    shutil.copytree(_STDLIB, python, ignore=shutil.ignore_patterns(*_LEFT_OUT))
    (python / _SITE).mkdir()
    pip_into(python / _SITE)
    (root / "usr/local/bin").mkdir()
    binary = Path(sys.base_prefix, "bin", _STDLIB.name)
    for name in ("python", "python3"):
        shutil.copy(binary, root / "usr/local/bin" / name)
    pip = root / "usr/local/bin/pip"
    pip.write_text("#!/usr/local/bin/python3\nfrom pip._internal.cli.main import main\nmain()\n")
    pip.chmod(0o755)
    for library in Path(sys.base_prefix, "lib").glob("libpython*.so.*"):
        shutil.copy(library, root / "usr/local/lib")
    tools = [Path(shutil.which(name) or name) for name in _TOOLS]
    for file in [*tools, *_needed(binary, *tools, *(_STDLIB / "lib-dynload").glob("*.so"))]:
        whole = file if file.is_relative_to("/usr") else Path("/usr", file.relative_to("/"))
        to = root / whole.relative_to("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, to)


def base_image(folder: Path) -> str:
    """An image of :func:`python_root`, as ``oci-archive:FILE``."""
    python_root(folder / "root")
    (folder / "Dockerfile").write_text(_BASE)
    tag = f"--tag=oci-archive:{folder}/base.tar"
    subprocess.run(["buildah", "build", tag, str(folder)], check=True, capture_output=True)
    return f"oci-archive:{folder}/base.tar"


def _needed(*files: Path) -> set[Path]:
    """The libraries of binaries, and those that wheels look for."""
    told = subprocess.run(["ldd", *files], capture_output=True, text=True, check=True).stdout
    found = {Path(path) for path in re.findall(r"(/\S+) \(0x", told)}
    known = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True)
    for name in _LIBRARIES:
        found |= {
            Path(path) for path in re.findall(rf"{re.escape(name)} .* => (\S+)", known.stdout)
        }
    return {path for path in found if not path.is_relative_to(sys.base_prefix)}


def pip_into(site: Path) -> None:
    """The pip that Python brings."""
    (wheel,) = (_STDLIB / "ensurepip/_bundled").glob("pip-*.whl")
    with zipfile.ZipFile(wheel) as opened:
        opened.extractall(site)


def small_environment(folder: Path) -> Path:
    """A virtual environment that has nenrin, what it needs, and pip: links to what is installed here."""
    venv.create(folder)
    site = folder / "lib" / _STDLIB.name / _SITE
    pip_into(site)
    here = Path(sysconfig.get_path("purelib"))
    for name in _closure("nenrin"):
        for top in {file.parts[0] for file in distribution(name).files or ()} - {
            "..",
            "__pycache__",
        }:
            if not (site / top).exists():
                (site / top).symlink_to(here / top)
    return folder / "bin/python"


def _closure(name: str) -> set[str]:
    waiting, seen = [name], set[str]()
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        needs = map(Requirement, distribution(name).requires or ())
        waiting += [
            each.name for each in needs if not each.marker or each.marker.evaluate({"extra": ""})
        ]
    return seen
