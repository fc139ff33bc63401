"""The workers of one folder: an executor, which starts when work first needs it, and its jobs."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from functools import partial

from nenrin.backends.blobs.opening import store_at
from nenrin.backends.compute.opening import Place, open_executor, room
from nenrin.backends.sql.database import Database
from nenrin.backends.sql.jobs import SqlJobs
from nenrin.core.calendar import Calendar
from nenrin.core.digest import digest
from nenrin.core.settings import Settings
from nenrin.core.store import ContentStore
from nenrin.core.timer import Timer
from nenrin.pipelines.dispatcher import Dispatcher
from nenrin.pipelines.executor import Executor
from nenrin.pipelines.logs import StepLogs
from nenrin.project.loader import project_attributes


class Workers:
    """Starts workers, and dispatches jobs to them.

    Attributes:
        name: of this process, among those that ask for work: host, folder and process id.

    Args:
        settings: where work runs.
        units: where jobs are kept.
        store: content.
        calendar, timer: business and process time.
        logs: what steps write.
    """

    def __init__(
        self,
        settings: Settings,
        units: Database,
        store: ContentStore,
        calendar: Calendar,
        timer: Timer,
        logs: StepLogs,
    ) -> None:
        self._settings = settings
        self._units = units
        self._store = store
        self._calendar = calendar
        self._timer = timer
        self._logs = logs
        self._jobs = SqlJobs()
        self._scratch = settings.state_folder / "scratch"
        self._folder = f"{socket.gethostname()}/{digest(str(settings.folder.absolute()))[:12]}/"
        self.name = f"{self._folder}{os.getpid()}"
        self._place = Place(
            executor=settings.executor,
            workers=settings.workers,
            store=settings.store_url,
            log=settings.state_folder / "workers.log",
        )
        self._starting = threading.Lock()
        self._executor: Executor | None = None
        self._notes: list[str] = []

    def executor(self) -> Executor:
        """The executor; its workers start when work first needs them."""
        with self._starting:
            if self._executor is None:
                settings = self._settings
                opened = partial(store_at, settings.store, settings.state_folder)
                self._executor = open_executor(
                    self._place, self._store, opened, project_attributes, self._notes.append
                )
            return self._executor

    def dispatcher(self, environment: str) -> Dispatcher:
        """What runs the jobs of one run."""
        return Dispatcher(
            units=self._units,
            jobs=self._jobs,
            executor=self.executor,
            calendar=self._calendar,
            timer=self._timer,
            environment=environment,
            machine=room(self._place, self.executor),
            scratch=self._scratch,
            worker=self.name,
            logs=self._logs,
        )

    def told(self) -> list[str]:
        """What the executor had to say since it was last asked."""
        told, self._notes[:] = list(self._notes), []
        return told

    def cpu(self) -> float:
        """CPU seconds of all workers so far."""
        return 0.0 if self._executor is None else sum(self._executor.cpu_by_worker().values())

    def resume(self) -> None:
        """End what a process of this folder was at when it died: its jobs, and its attempts' folders.

        Who asks for the same work again gets what was recorded, and new jobs for the rest. Other hosts' jobs
        go on.
        """
        environment = self._settings.environment
        with self._units.read(environment) as unit:
            open_ = self._jobs.open(unit)
        # jobs of before places were noted have a number alone
        ours = [
            job for job in open_ if job.worker.startswith(self._folder) or "/" not in job.worker
        ]
        left = dict.fromkeys(job.run for job in ours)
        if left:
            with self._units.write(environment, self._calendar.now()) as unit:
                for run in left:
                    self._jobs.cancel(unit, run)
        shutil.rmtree(self._scratch, ignore_errors=True)

    def close(self) -> None:
        """End the workers."""
        if self._executor is not None:
            self._executor.close()
