"""What has the table load: it waits for nobody else's long work."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

from nenrin.core.calendar import SystemCalendar
from nenrin.core.timer import SystemTimer
from nenrin.serving.plane.opening import Opening
from nenrin.serving.plane.table import RouteTable
from tests.serving.fakes import FakeLoader, ListedRoutes, deployment


def test_routes_are_followed_while_every_thread_reads_an_index() -> None:
    read = threading.Event()

    async def look() -> None:
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1) as threads:
            loop.set_default_executor(threads)
            reading = loop.run_in_executor(None, read.wait)
            try:
                await asyncio.wait_for(Opening(table).look(), 30)
            finally:
                read.set()
            await reading

    routes = ListedRoutes(deployment("v0.1"))
    table = RouteTable(routes, FakeLoader(), SystemCalendar(), SystemTimer())
    asyncio.run(look())
    assert table.get("delay").deployment.champion == "v0.1"
