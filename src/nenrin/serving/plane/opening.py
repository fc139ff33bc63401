"""Has the table load and let go, one thing at a time, in a thread; and requests wait for what they need."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from nenrin.core.errors import UnavailableError
from nenrin.serving.plane.batching import WAIT_SECONDS
from nenrin.serving.plane.served import Served
from nenrin.serving.plane.table import RouteTable

T = TypeVar("T")


class Opening:
    """Opens deployments of a table, each once for all who wait for it.

    Args:
        table: what is served.
    """

    def __init__(self, table: RouteTable) -> None:
        self._table = table
        self._alone = asyncio.Lock()
        # its own: the loop's may all be reading indexes, which takes long
        self._thread = ThreadPoolExecutor(1, "opening")
        self._tasks: dict[str, asyncio.Task[Served]] = {}

    async def look(self) -> None:
        """Read the routes now."""
        async with self._alone:
            await self._in_thread(self._table.refresh)

    async def deployment(self, name: str | None, within: float = WAIT_SECONDS) -> Served:
        """The deployment of that name, or the one that there is; one that was let go is opened first.

        Raises:
            RequestError: no name, and several deployments.
            UnavailableError: it is not loaded in time, or does not load.
            NotFoundError: there is none of that name.
        """
        resting = self._table.resting
        if name is None and len(resting) == 1 and not self._table.served:
            name = next(iter(resting))
        if name not in resting or name is None:
            return self._table.only(name)
        task = self._tasks.get(name)
        if task is None:
            task = self._tasks[name] = asyncio.create_task(self._opened(name))
            task.add_done_callback(partial(self._ended, name))
        try:
            return await asyncio.wait_for(asyncio.shield(task), within)
        except TimeoutError:
            raise UnavailableError(
                f"deployment {name!r} is being loaded",
                hint="try again in a second, or allow more with the header X-Request-Timeout-Ms",
                where=name,
            ) from None

    async def _opened(self, name: str) -> Served:
        async with self._alone:
            return await self._in_thread(partial(self._table.open, name))

    def _ended(self, name: str, task: asyncio.Task[Served]) -> None:
        self._tasks.pop(name, None)
        if not task.cancelled():
            task.exception()  # whoever waited has it; nobody may

    async def rest(self, name: str) -> None:
        """Let a deployment go, until it is asked again."""
        async with self._alone:
            await self._in_thread(partial(self._table.rest, name))

    async def _in_thread(self, do: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, do)
