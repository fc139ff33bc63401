"""The control process is killed and started again, while clients ask: none of them notices."""

from __future__ import annotations

import threading
from pathlib import Path

import httpx2

from nenrin.api.folder import predictions_folder
from nenrin.core.timer import SystemTimer
from nenrin.serving.plane.process import left_behind
from nenrin.serving.segments import read_counts, read_predictions
from nenrin.testing.waiting import wait_until
from tests.journeys.shell import CHURN, Shell, Up, customers


class Asking:
    """Threads that ask until the end, half of them on a connection for each request."""

    def __init__(self, up: Up) -> None:
        self._url = f"{up.url}/invocations?deployment=churned"
        self._records = up.get("/api/deployments/churned/example").json()["records"]
        self._end = threading.Event()
        self.wrong: list[str] = []
        self.answered = 0
        self._threads = [
            threading.Thread(target=self._ask, args=(keeps,)) for keeps in (True, False)
        ]

    def __enter__(self) -> Asking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, keeps: bool) -> None:
        with httpx2.Client(timeout=120) as client:
            post = client.post if keeps else httpx2.post
            while not self._end.wait(0.01):
                try:
                    status = post(self._url, json=self._records).status_code
                except httpx2.TransportError as error:
                    self.wrong.append(repr(error))
                    continue
                if status != 200:
                    self.wrong.append(str(status))
                self.answered += 1


def test_who_starts_again_takes_over(tmp_path: Path) -> None:
    customers(400).write_csv(tmp_path / "customers.csv")
    (tmp_path / "project.py").write_text(CHURN)
    shell = Shell(tmp_path, {"NENRIN_WORKERS": "0"})
    shell.here("run")
    log = predictions_folder(tmp_path / ".nenrin")
    with shell.up() as up, Asking(up) as asking:
        wait_until(lambda: asking.answered > 20)
        up.kill()
        [left] = left_behind(log)
        with shell.up("--port", up.url.rpartition(":")[2], "--planes", "2") as again:
            assert again.url == up.url
            assert left.process not in [each.process for each in left_behind(log)]
            assert len(left_behind(log)) == 2
            asked = asking.answered
            wait_until(lambda: asking.answered > asked + 50)
            assert again.get("/api/status").status_code == 200
            asking.__exit__()
            assert asking.wrong == []
            SystemTimer().sleep(0.5)  # what is answered is written within a fifth of a second
            counts = read_counts(log)
            assert (counts.issued, counts.lost) == (asking.answered, 0)
            assert len({each.id for each in read_predictions(log)}) == asking.answered
