"""A model in a container that speaks the Open Inference Protocol, version 2, run by docker or podman.

What is kept of it is the image's name, the port that it listens on, and its metadata as they were when it was
registered. It is asked as a model behind a URL is (:mod:`nenrin.training.runtimes.remote`).
"""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from nenrin.core.errors import RemoteError
from nenrin.training.columns import ColumnSpec
from nenrin.training.runtimes.opened import Opened
from nenrin.training.runtimes.remote import Address, RemoteModel, described
from nenrin.training.runtimes.servers import Command, Server, shared

PULL_SECONDS = 900.0
"""How long registration waits for a container: its image may have to be fetched."""

_ENGINES = ("docker", "podman")
_ANSWERS = 10.0


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """What is kept of a model in a container.

    Attributes:
        image: as ``docker run`` takes it.
        port: where it listens inside.
        address: its metadata; the URL is a path of the container's.
    """

    image: str
    port: int
    address: Address


class Container:
    """The image and the metadata, as JSON. To ask such a model runs the image."""

    name = "container"
    library = "httpx2"
    runs_code = True
    keeps_classes = True

    def takes(self, model: Any, columns: tuple[ColumnSpec, ...], container: str) -> bool:
        """Models in containers."""
        del columns, container
        return isinstance(model, ContainerModel)

    def dumps(self, model: Any, project: Path | None) -> bytes:
        """What is kept."""
        del project
        return msgspec.json.encode(model.image)

    def loads(self, data: bytes) -> Any:
        """A :class:`ContainerModel`; nothing is started yet."""
        return ContainerModel(msgspec.json.decode(data, type=Image))


class ContainerModel(RemoteModel):
    """A model that a container answers for, which this process runs from the first question on.

    Attributes:
        image: what is kept of it.
    """

    def __init__(self, image: Image, server: Server | None = None) -> None:
        super().__init__(image.address)
        self.image = image
        self._server = server

    def _found(self) -> Address:
        if self._server is None:
            self._server = running(self.image.image, self.image.port)
        base = self._server.url(self.address.timeout)
        return msgspec.structs.replace(self.address, url=base + self.address.url)


def open_container(
    image: str, port: int, model: str, timeout: float, names: frozenset[str]
) -> Opened:
    """The model in a container, after a look at its metadata.

    Args:
        image: as ``docker run`` takes it.
        port: where it listens inside.
        model: what it calls the model.
        timeout: seconds that each request has.
        names: of the columns that there are.

    Raises:
        ProjectError: it takes tensors that no table gives.
        RemoteError: there is no engine, or the container does not get ready, or does not know the model.
    """
    path = f"/v2/models/{model}"
    server = running(image, port)
    address = described(server.url(PULL_SECONDS) + path, timeout, names)
    kept = Image(image=image, port=port, address=msgspec.structs.replace(address, url=path))
    asked = ContainerModel(kept, server)
    return Opened(asked, asked.container)


def running(image: str, port: int) -> Server:
    """The container of an image, one a process.

    Raises:
        RemoteError: nothing here runs containers.
    """
    found = [path for each in _ENGINES if (path := shutil.which(each))]
    if not found:
        raise RemoteError(
            f"neither {' nor '.join(_ENGINES)} is here to run {image}",
            hint="install one of them, or run the container elsewhere and write nr.remote(url, …)",
            where=image,
        )
    engine = found[0] if len(found) == 1 else next(filter(_answers, found), found[0])
    return shared(f"container {image}", partial(_command, engine, image, port))


def _answers(engine: str) -> bool:
    """Whether it can run anything: docker's client is often there without its daemon."""
    try:
        asked = subprocess.run([engine, "ps"], capture_output=True, timeout=_ANSWERS, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0


def _command(engine: str, image: str, inside: int, port: int) -> Command:
    name = f"nenrin-{os.getpid()}-{port}"
    publish = f"127.0.0.1:{port}:{inside}"
    return Command(
        run=(engine, "run", "--rm", "--name", name, "--publish", publish, image),
        end=(engine, "rm", "--force", name),  # what does not heed SIGTERM outlives its client
    )
