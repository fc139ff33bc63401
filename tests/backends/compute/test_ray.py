"""The executor on a Ray cluster of two nodes, which are processes of this machine."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nenrin.backends.blobs.local import LocalStore
from nenrin.backends.compute.ray_cluster import RayExecutor
from nenrin.core.errors import RefusedError
from nenrin.pipelines.executor import Executor, Task
from nenrin.testing.executors import ExecutorContract, WorkerProcessContract
from nenrin.testing.ray_nodes import RayNodes
from nenrin.testing.started_tasks import StartContract, StartedProcessContract, project
from nenrin.testing.worker_functions import folders, load_file

__all__ = ["project"]


@pytest.fixture(scope="module")
def connected(ray_cluster: RayNodes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The cluster's address, to which this process stays connected: that takes seconds."""
    store = functools.partial(LocalStore, tmp_path_factory.mktemp("store"))
    executor = RayExecutor(ray_cluster.address, store, load_file)
    yield ray_cluster.address
    executor.close()


@pytest.fixture
def maker(connected: str, tmp_path: Path) -> Callable[[], RayExecutor]:
    return functools.partial(
        RayExecutor, connected, functools.partial(LocalStore, tmp_path / "store"), load_file
    )


@pytest.fixture
def executor(maker: Callable[[], RayExecutor]) -> Iterator[RayExecutor]:
    executor = maker()
    yield executor
    executor.close()


class TestRayExecutor(
    ExecutorContract, WorkerProcessContract, StartContract, StartedProcessContract
):
    orphans = ("compute", "child_grows")  # a core a node

    @pytest.mark.parametrize("needs", [{"cpus": 2.0}, {"gpus": 1.0}, {"memory": 10**15}])
    def test_what_no_node_has_room_for_is_refused(
        self, executor: Executor, needs: dict[str, Any]
    ) -> None:
        """Ray would let it wait for ever."""
        with pytest.raises(RefusedError, match="no node of the Ray cluster has what folders needs"):
            executor.start(Task(name="folders", **needs), folders)

    def test_works_in_its_scratch_folder(self, executor: Executor, tmp_path: Path) -> None:
        """One of the node's own, which is gone with the task."""
        task = Task(name="folders", scratch=tmp_path)
        here, told = executor.start(task, folders).result.result()
        assert here == told
        assert not Path(here).is_relative_to(tmp_path)
        assert not Path(here).exists()
