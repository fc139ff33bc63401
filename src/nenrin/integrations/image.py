"""An OCI image of a container's build context, without an engine: buildah builds it where nothing listens.

Buildah is Linux's alone. Its steps run in a chroot unless ``BUILDAH_ISOLATION`` says otherwise: that works
in containers and for users without rights too, and what a step could break is the image that it makes.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import msgspec

from nenrin.core.errors import MissingExtraError, RequestError, UnavailableError

_FILES = re.compile(r"(oci-archive|docker-archive|oci|dir):(.+)")


class _Manifest(msgspec.Struct):
    digest: str


class _Index(msgspec.Struct):
    manifests: list[_Manifest]


def find_buildah() -> str:
    """Where buildah is.

    Raises:
        MissingExtraError: it is not on the path.
    """
    found = shutil.which("buildah")
    if found is None:
        raise MissingExtraError(
            "buildah is not installed, which builds images without an engine",
            hint="apt-get install buildah, or leave --oci out and give the folder to docker build",
        )
    return found


def fetch_wheels(context: Path, folders: Mapping[str, str]) -> None:
    """Put a wheel of every locked package into a context: the build then needs no index.

    This machine's pip fetches them, as it is configured here, and builds those that no index has.

    Args:
        context: the folder of the build context.
        folders: where packages are that no index has, by ``name==version``.

    Raises:
        RequestError: this is not Linux, and its wheels would not fit.
        MissingExtraError: there is no pip.
        UnavailableError: pip failed; it has said why.
    """
    if sys.platform != "linux":
        raise RequestError(
            f"wheels for {sys.platform} do not fit an image",
            where="wheels",
            hint="leave --wheels out: the build fetches its own",
        )
    if find_spec("pip") is None:
        raise MissingExtraError("pip is not installed", hint="python -m ensurepip")
    locked = (context / "requirements.txt").read_text().split()
    wheels = str(context / "wheels")
    words = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--find-links", wheels]
    _run([*words, "--wheel-dir", wheels, *(folders.get(package, package) for package in locked)])


def build(context: Path, to: Path, base: str | None = None, *, index: bool = True) -> str:
    """Build a context's image into an OCI archive, which is there whole or not at all; gives its digest.

    Args:
        context: the folder of the build context.
        to: the archive; written over where it is there.
        base: the image to begin from: a name, also of buildah's own storage, or ``oci-archive:FILE``.
            None: the Dockerfile's.
        index: whether the build asks an index for packages that the context has no wheel of.

    Raises:
        MissingExtraError: there is no buildah.
        UnavailableError: the build failed; buildah has said why.
    """
    buildah = [find_buildah()]
    told = [] if index else ["--build-arg=PIP_NO_INDEX=1"]
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=f".{to.name}-") as scratch:
        file = _FILES.fullmatch(base or "")
        if file:  # its image would stay behind in buildah's storage, without a name
            base = f"{file[1]}:{Path(file[2]).absolute()}"
            buildah += ["--root", f"{scratch}/root", "--runroot", f"{scratch}/run"]
        if base:
            told.append(f"--build-arg=BASE={base}")
        try:
            words = ["build", "--disable-compression=false", *told, "--tag=oci-archive:image.tar"]
            _run([*buildah, *words, str(context.absolute())], scratch)
        finally:
            if file:  # files of the image's users are not ours to remove
                subprocess.run(
                    [*buildah, "rmi", "--all", "--force"], capture_output=True, check=False
                )
        made = Path(scratch, "image.tar")
        digest = _digest(made)
        made.replace(to)
    return digest


def _run(words: Sequence[str], folder: str | None = None) -> None:
    """Run a tool to its end; what it says goes to the standard error."""
    variables = {"BUILDAH_ISOLATION": "chroot", **os.environ}
    with subprocess.Popen(words, cwd=folder, env=variables, stdout=2) as process:
        try:
            code = process.wait()
        except BaseException:
            process.terminate()  # it removes what it began
            process.wait()
            raise
    if code:
        tool = "pip" if "pip" in words else "buildah"
        raise UnavailableError(
            f"{tool} ended with code {code}",
            hint="its lines above say why; --base names another base, --wheels fetches packages here",
        )


def _digest(archive: Path) -> str:
    """Of the image's manifest: what a registry names it by."""
    with tarfile.open(archive) as opened:
        index = opened.extractfile("index.json")
        assert index is not None
        return msgspec.json.decode(index.read(), type=_Index).manifests[0].digest
