"""Executors by where work runs: in this process, in processes of this machine, or on a Ray cluster."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from nenrin.backends.compute.fork import ForkExecutor, can_fork
from nenrin.backends.compute.in_process import InProcessExecutor
from nenrin.backends.compute.node import revision_on_node, store_of_node
from nenrin.backends.compute.ray_cluster import RayExecutor
from nenrin.backends.compute.spawn import SpawnExecutor
from nenrin.core.errors import RequestError
from nenrin.core.jobs import Room
from nenrin.core.store import ContentStore
from nenrin.pipelines.executor import Executor, ProjectLoader

_RAY = "ray"
_GPUS = Path("/proc/driver/nvidia/gpus")


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where work runs.

    Attributes:
        executor: ``ray://HOST:PORT``, ``ray``, or empty: here.
        workers: processes of this machine; 0: none beside this one.
        store: the content store that nodes share with this machine; empty where it is this machine's own.
        log: file to which workers' output is appended.
    """

    executor: str
    workers: int
    store: str
    log: Path


def open_executor(
    place: Place,
    store: ContentStore,
    opened: Callable[[], ContentStore],
    load_project: ProjectLoader,
    note: Callable[[str], None],
) -> Executor:
    """The executor of a place. There is no other that stands in for one that is away.

    Args:
        place: where work runs.
        store: content, as this process has it.
        opened: makes the content store in a worker of this machine; can be pickled.
        load_project: imports a project from its folder; can be pickled.
        note: told why tasks are not forked.

    Raises:
        RequestError: the setting is wrong, or the cluster's nodes could not reach the content.
        UnavailableError: the cluster does not answer.
    """
    if place.executor:
        return _on_ray(place, load_project, note)
    if place.workers == 0:
        return InProcessExecutor(store, load_project)
    if can_fork():
        return ForkExecutor(place.workers, opened, load_project, log=place.log, note=note)
    return SpawnExecutor(place.workers, opened, load_project, log=place.log)


def room(place: Place, executor: Callable[[], Executor]) -> Room:
    """What may be started: what this machine has for work; with a cluster, which is asked, what it queues."""
    if place.executor:
        found = executor()
        assert isinstance(found, RayExecutor)
        return found.queue()
    workers = place.workers or 1
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    gpus = len(list(_GPUS.iterdir())) if _GPUS.is_dir() else 0
    return Room(cpus=float(workers), memory=memory, jobs=4 * workers, gpus=float(gpus))


def _on_ray(place: Place, load_project: ProjectLoader, note: Callable[[str], None]) -> RayExecutor:
    scheme, _, address = place.executor.partition("://")
    if scheme != _RAY or (address == "") != (place.executor == _RAY):
        raise RequestError(
            f"{place.executor!r} is no executor",
            hint="write ray://HOST:6379, with the address of the cluster's head, or ray",
            where="NENRIN_EXECUTOR",
        )
    if not place.store:
        raise RequestError(
            "the nodes of a Ray cluster cannot read the content store, which is this folder's own",
            hint="set NENRIN_STORE_URL to a store that every node reaches",
            where="NENRIN_STORE_URL",
        )
    opened = partial(store_of_node, place.store)
    return RayExecutor(address, opened, load_project, find=revision_on_node, note=note)
