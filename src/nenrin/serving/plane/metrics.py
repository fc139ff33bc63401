"""What the plane tells Prometheus: what it counted, with what the other planes of its folder did."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from nenrin.registry.kinds.rescoring import Rescoring
from nenrin.serving.livelog import LiveLog
from nenrin.serving.plane.sums import SECONDS, Board, Sums
from nenrin.serving.plane.table import RouteTable
from nenrin.serving.segments import Counts

_LOG = {
    "issued": "Predictions answered",
    "dropped": "Predictions not logged because the disk was too slow, or refused",
    "lost": "Predictions that a kill took before they were written",
}


class PlaneMetrics:
    """Counts requests and predictions; asks log and table when it is scraped.

    Args:
        table, log: the plane's.
        board: shows the sums of the other planes; None: there are none.
        rescoring: compares compiled models with their originals.
    """

    content_type = CONTENT_TYPE_LATEST

    def __init__(
        self,
        table: RouteTable,
        log: LiveLog,
        board: Board | None = None,
        rescoring: Rescoring | None = None,
    ) -> None:
        self._table = table
        self._log = log
        self._board = board
        self._sums = board.mine() if board else Sums()
        self._rescoring = rescoring
        self._before = self._sums.rescored, self._sums.breaches
        self._moved = self._sums.opened, self._sums.let_go
        self._registry = CollectorRegistry()
        self._registry.register(_Told(self))

    def answered(
        self, deployment: str, protocol: str, seconds: Sequence[float], versions: list[str]
    ) -> None:
        """Requests were answered: in how many seconds each, and who answered each of their rows."""
        sums = self._sums
        sums.request(deployment, protocol, "200", len(seconds))
        sums.latency(deployment).add(seconds)
        if versions.count(versions[0]) == len(versions):
            sums.answered(deployment, versions[0], len(versions))
            return
        for version in set(versions):
            sums.answered(deployment, version, versions.count(version))

    def failed(self, deployment: str, protocol: str, status: int) -> None:
        """A request was refused or failed; ``deployment`` is one that is served, or empty."""
        self._sums.request(deployment, protocol, str(status))

    def told(self) -> bytes:
        """This plane's sums, for :meth:`nenrin.serving.plane.sums.Board.tell`."""
        self._sums.waiting = self._log.waiting
        room = self._table.room
        opened, let_go = self._moved
        self._sums.open, self._sums.bytes = len(self._table.served), room.taken
        self._sums.opened, self._sums.let_go = opened + room.opened, let_go + room.let_go
        self._sums.shadows = self._table.observer.observed().shadows
        if self._rescoring is not None:
            rescored, breaches = self._before
            self._sums.rescored = rescored + self._rescoring.rescored
            self._sums.breaches = breaches + self._rescoring.breaches
        return msgspec.json.encode(self._sums)

    def ended(self) -> bytes:
        """The same of a plane that has ended: it counted, and holds nothing any more."""
        self.told()
        self._sums.waiting = self._sums.open = self._sums.bytes = 0
        return msgspec.json.encode(self._sums)

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)

    def families(self) -> Iterator[Metric]:
        """Everything, as Prometheus' client knows it."""
        sums = msgspec.json.decode(self.told(), type=Sums)
        for other in self._board.others() if self._board else ():
            sums.add(other)
        yield from _counted(sums)
        yield from _shadowed(sums)
        yield from _logged(self._log.counts_of_all, sums)
        ready = GaugeMetricFamily(
            "nenrin_deployment_ready", "1: what the route names is served", labels=["deployment"]
        )
        table = self._table
        for name in sorted({*table.served, *table.resting, *table.problems} - {""}):
            ready.add_metric([name], float(name not in table.problems))
        yield ready
        yield from self._instead()

    def _instead(self) -> Iterator[Metric]:
        """Versions that failed, or are left out."""
        labels = ["deployment", "version"]
        out = GaugeMetricFamily("nenrin_version_left_out", "1: its breaker is open", labels=labels)
        instead = CounterMetricFamily(
            "nenrin_answered_instead",
            "Requests that were dealt to the version and answered by another",
            labels=labels,
        )
        unloaded = GaugeMetricFamily(
            "nenrin_version_unloaded", "1: it is in the route and not loaded", labels=labels
        )
        for each in self._table.observer.observed().standings:
            unloaded.add_metric([each.deployment, each.version], float(bool(each.unloaded)))
            out.add_metric([each.deployment, each.version], float(each.open))
            instead.add_metric([each.deployment, each.version], each.instead)
        yield unloaded
        yield out
        yield instead


class _Told(Collector):
    def __init__(self, metrics: PlaneMetrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics.families()


def _counted(sums: Sums) -> Iterator[Metric]:
    labels = ["deployment", "protocol", "status"]
    requests = CounterMetricFamily("nenrin_requests", "Inference requests", labels=labels)
    for deployment, protocols in sums.requests.items():
        for protocol, statuses in protocols.items():
            for status, count in statuses.items():
                requests.add_metric([deployment, protocol, status], count)
    yield requests
    what = "Time from the whole request to its answer"
    seconds = HistogramMetricFamily("nenrin_request_seconds", what, labels=["deployment"])
    for deployment, latency in sums.latencies.items():
        edges = [*map(str, SECONDS), "+Inf"]
        buckets = list(zip(edges, accumulate(latency.counts), strict=True))
        seconds.add_metric([deployment], buckets, latency.total)
    yield seconds
    rows = CounterMetricFamily(
        "nenrin_predictions", "Rows answered", labels=["deployment", "version"]
    )
    for deployment, versions in sums.rows.items():
        for version, count in versions.items():
            rows.add_metric([deployment, version], count)
    yield rows
    for name, value, what in (
        ("opened", sums.opened, "Deployments that were opened"),
        ("let_go", sums.let_go, "Deployments that were let go for the memory that models may take"),
    ):
        yield CounterMetricFamily(f"nenrin_deployments_{name}", what, value=value)
    what = "Deployments that are open"
    yield GaugeMetricFamily("nenrin_deployments_open", what, value=sums.open)
    what = "What they take of NENRIN_MODELS_MEMORY; 0 without a limit"
    yield GaugeMetricFamily("nenrin_models_bytes", what, value=sums.bytes)
    for name, value, what in (
        ("rescored", sums.rescored, "Requests that the original of a compiled model answered too"),
        ("breaches", sums.breaches, "Compiled models that were given up"),
    ):
        yield CounterMetricFamily(f"nenrin_compiled_{name}", what, value=value)


def _shadowed(sums: Sums) -> Iterator[Metric]:
    """Nothing where no version is a shadow."""
    labels = ["deployment", "version"]
    rows = CounterMetricFamily(
        "nenrin_shadow_rows",
        "Rows that a shadow scored, failed at, or dropped for its budget",
        labels=[*labels, "outcome"],
    )
    spent = CounterMetricFamily(
        "nenrin_shadow_seconds", "Time that a shadow's scoring took", labels=labels
    )
    for each in sums.shadows:
        who = [each.deployment, each.version]
        for outcome in ("scored", "failed", "dropped"):
            rows.add_metric([*who, outcome], getattr(each, outcome))
        spent.add_metric(who, each.seconds)
    if sums.shadows:
        yield from (rows, spent)


def _logged(counts: Counts, sums: Sums) -> Iterator[Metric]:
    for name, what in _LOG.items():
        yield CounterMetricFamily(
            f"nenrin_prediction_log_{name}", what, value=getattr(counts, name)
        )
    what = "Predictions that are not written yet"
    yield GaugeMetricFamily("nenrin_prediction_log_waiting", what, value=sums.waiting)
