"""Replay a project's folder in a process of its own, and say what came of it as JSON.

Run as ``python replay.py FOLDER WORKERS FROM UNTIL``; either date may be empty.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from nenrin.core.settings import Settings
from nenrin.platform import Platform


def main() -> None:
    """Replay, and print head, events and costs."""
    folder, workers, start, until = sys.argv[1:]
    settings = Settings.read(folder=Path(folder), workers=int(workers))
    with Platform.open(settings) as platform:
        report = platform.loop.backtest(from_=start or None, until=until or None)
        events = [
            [event.at, event.kind, event.subject, event.body]
            for event in platform.units.events(f"backtest/{report['id']}")
        ]
    told = {"head": report["ledger_head"], "events": events, "cpu": report["cost"]["cpu"]}
    print(json.dumps(told))


if __name__ == "__main__":
    main()
