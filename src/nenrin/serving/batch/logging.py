"""Logs what a batch answered, in a folder of its own, as a data plane would."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from nenrin.core.errors import ConflictError, UnavailableError
from nenrin.core.timer import Timer
from nenrin.serving.answered import AnsweredRequest, prediction_ids
from nenrin.serving.batch.asking import AnsweredRows
from nenrin.serving.batch.working import Work
from nenrin.serving.livelog import LiveLog
from nenrin.serving.segments import worker_folder

FIRST = 1_000
"""Folders of the log from this number on are of batches, those before of data planes."""

_PAUSE = 0.02
_PATIENCE = 60.0


class BatchLog:
    """The prediction log of one batch; takes the first folder that no other batch writes to.

    Args:
        predictions: the folder of the log.
        timer: waits for the disk.
    """

    def __init__(self, predictions: Path, timer: Timer) -> None:
        self._timer = timer
        number = FIRST
        while True:
            try:
                self._log = LiveLog(worker_folder(predictions, number), timer=timer)
                break
            except ConflictError:
                number += 1

    def keep(self, work: Work, found: AnsweredRows) -> list[str]:
        """Log some answers; gives their ids. Never drops what the disk can take."""
        rows = len(found.numbers)
        self._wait(20_000)
        first = self._log.issue(rows)
        deployment = work.live.deployment
        now = work.live.stands_at or 0
        ids = prediction_ids(deployment.name, now, self._log.worker, first, rows)
        fast = msgspec.structs.replace(deployment.log, durable=False)  # whole parts are waited for
        self._log.append(
            AnsweredRequest(
                deployment=deployment.name,
                variants=work.variants,
                picked=found.picked,
                dealt=found.dealt,
                first=first,
                ids=ids,
                keys=found.keys,
                asked=found.asked,
                at=now,
                values=found.values,
                rows=found.rows,
                features=found.features,
                ages=found.ages,
                latency=None,
            ),
            msgspec.structs.replace(deployment, log=fast),
        )
        return ids

    def written(self) -> None:
        """Wait until all of it is written.

        Raises:
            UnavailableError: the disk does not take it.
        """
        self._wait(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._log.close()

    def _wait(self, rows: int) -> None:
        """Until no more than ``rows`` wait to be written."""
        until = self._timer.wall() + _PATIENCE
        while self._log.waiting > rows:
            if self._timer.wall() > until:
                raise UnavailableError(
                    "the prediction log takes no more rows",
                    where="the prediction log",
                    hint="see to the disk that .nenrin/predictions lies on, then ask again",
                )
            self._timer.sleep(_PAUSE)
