"""Exports of an environment's active revision: as a container's build context, for Kubernetes, for KServe."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

import msgspec
import yaml

from nenrin.core.errors import ConflictError, NotFoundError, RequestError
from nenrin.core.store import ContentStore
from nenrin.integrations.container import context
from nenrin.integrations.kserve import inference_service
from nenrin.integrations.kubernetes import objects
from nenrin.project.revision import Revision, archive, contents

Kind = Literal["container", "kubernetes", "kserve"]

_IMAGE = re.compile(r"[a-z0-9][a-zA-Z0-9._:/@-]*")
# a job's name has 63 letters at most, and is that of the environment between "nenrin-" and a revision's id
_DNS = re.compile(r"[a-z0-9]([a-z0-9-]{0,32}[a-z0-9])?")


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What was written: the revision, the folder, and how each file's content differs from before.

    Attributes:
        revision: id of what was exported.
        to: the folder.
        files: path in the folder to ``new``, ``changed`` or ``same``.
        notes: what is left to do.
    """

    revision: str
    to: str
    files: dict[str, str]
    notes: tuple[str, ...] = ()


class Exports:
    """Writes what other platforms run an environment from.

    Args:
        store: where revisions' contents are kept.
        revision: the revision that an environment follows, if any.
        local: the folders of packages that no index has, by ``name==version``.
    """

    def __init__(
        self,
        store: ContentStore,
        revision: Callable[[str], Revision | None],
        local: Callable[[], Mapping[str, str]],
    ) -> None:
        self._store = store
        self._revision = revision
        self._local = local

    def write(self, environment: str, kind: Kind, to: Path, image: str = "") -> Exported:
        """Write an export into a folder; files of the same names are written anew, others are left.

        Args:
            environment: whose active revision.
            kind: what for.
            to: the folder; made where it is missing.
            image: the image that pods run; not asked of ``container``.

        Raises:
            NotFoundError: the environment follows no revision yet.
            RequestError: no image, or one that cannot be; an environment that cannot name objects.
            ConflictError: ``to`` is a file.
        """
        revision = self._revision(environment)
        if revision is None:
            raise NotFoundError(
                f"nothing was applied to {environment} yet",
                where=environment,
                hint=f"nenrin apply --env {environment}",
            )
        notes: tuple[str, ...] = ()
        if kind == "container":
            files = context(revision, environment)
            files["project.tar"] = archive(contents(revision, self._store))
            notes = tuple(
                f"{package} was installed from a folder, not from an index: export with --wheels, or "
                f"pip wheel --no-deps --wheel-dir {to / 'wheels'} {folder}"
                for package, folder in self._local().items()
            )
        else:
            files = _manifests(kind, environment, image, revision.id)
        return Exported(revision=revision.id, to=str(to), files=_written(to, files), notes=notes)


def _manifests(kind: Kind, environment: str, image: str, revision: str) -> dict[str, bytes]:
    if not _IMAGE.fullmatch(image):
        raise RequestError(
            f"{image!r} is no image" if image else "pods need an image",
            where="image",
            hint="--image registry.example.com/team/delay:1, as the cluster pulls it",
        )
    if not _DNS.fullmatch(environment):
        raise RequestError(
            f"the environment {environment!r} cannot name objects of Kubernetes",
            where="environment",
            hint="small letters, digits and -, at most 34",
        )
    if kind == "kserve":
        service = inference_service(environment, image, revision)
        return {"inference-service.yaml": _yaml([service], revision)}
    made = objects(environment, image, revision)
    return {name: _yaml(each, revision) for name, each in made.items()}


def _yaml(objects_: list[dict[str, object]], revision: str) -> bytes:
    head = f"# {revision}: written by nenrin export.\n"
    return (head + yaml.safe_dump_all(objects_, sort_keys=False, width=100)).encode()


def _written(to: Path, files: Mapping[str, bytes]) -> dict[str, str]:
    if to.exists() and not to.is_dir():
        raise ConflictError(f"{to} is a file", where=str(to), hint="name a folder")
    said: dict[str, str] = {}
    for name, data in sorted(files.items()):
        path = to / name
        before = path.read_bytes() if path.is_file() else None
        said[name] = "new" if before is None else "same" if before == data else "changed"
        if before != data:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return said
