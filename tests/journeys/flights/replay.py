"""Replay a project's folder in a process of its own, and say what came of it as JSON.

Run as ``python replay.py FOLDER WORKERS FROM UNTIL``; either date may be empty.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

from nenrin.core.settings import Settings
from nenrin.platform import Platform


def cpu_of_the_tree() -> float:
    """CPU seconds of this process, of its living children, and of those that these waited for."""
    mine = resource.getrusage(resource.RUSAGE_SELF)
    tasks = Path(f"/proc/{os.getpid()}/task").iterdir()
    pids = {pid for task in tasks for pid in (task / "children").read_text().split()}
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += sum(map(int, fields[11:15]))
    return mine.ru_utime + mine.ru_stime + ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Replay, and print head, events and costs."""
    folder, workers, start, until = sys.argv[1:]
    settings = Settings.read(folder=Path(folder), workers=int(workers))
    with Platform.open(settings) as platform:
        report = platform.loop.backtest(from_=start or None, until=until or None)
        tree = cpu_of_the_tree()
        events = [
            [event.at, event.kind, event.subject, event.body]
            for event in platform.units.events(f"backtest/{report['id']}")
        ]
    told = {"head": report["ledger_head"], "events": events}
    print(json.dumps({**told, "cpu": report["cost"]["cpu"], "tree": tree}))


if __name__ == "__main__":
    main()
