"""What every test stands on: repeatable examples, and no settings of the machine it runs on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from nenrin.testing.object_store import ObjectStoreServer, object_store_server
from nenrin.testing.postgres import PostgresServer, postgres_server
from nenrin.testing.ray_nodes import RayNodes, ray_nodes

settings.register_profile(
    "repeatable",
    deadline=None,  # a loaded machine is not a bug
    derandomize=True,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("thorough", settings.get_profile("repeatable"), max_examples=2_000)
for name in ("COLUMNS", "LINES"):  # pytest-xdist sets them; what is printed would break at 80
    os.environ.pop(name, None)

settings.load_profile("repeatable")  # for more: pytest --hypothesis-profile=thorough


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """How several processes share the tests out (``make test``)."""
    from xdist.scheduler import LoadScopeScheduling

    class Together(LoadScopeScheduling):  # type: ignore[misc]
        """What is costly to start is started once; else a file's tests share what its fixtures made."""

        def _split_scope(self, nodeid: str) -> str:
            path = nodeid.split("::", maxsplit=1)[0]
            if path.endswith("/test_ray.py"):
                return "ray"
            return "flights" if "/flights/" in path else path

    return Together(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest file first: at the end nothing would be left to run beside it."""
    items.sort(key=lambda item: "/test_everything.py::" not in item.nodeid)


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(("NENRIN_", "AWS_"))]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def ray_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayNodes]:
    """A real Ray cluster of two nodes, ``a`` and ``b``, started by the first test that needs one."""
    with ray_nodes(tmp_path_factory.mktemp("ray"), "a", "b") as nodes:
        yield nodes


@pytest.fixture(scope="session")
def object_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStoreServer]:
    """A real S3 server, started by the first test that needs one; tests keep apart by prefixes."""
    with object_store_server(tmp_path_factory.mktemp("object-store")) as server:
        yield server


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One server for all tests that ask for it; each takes a schema of its own."""
    with postgres_server() as server:
        yield server
