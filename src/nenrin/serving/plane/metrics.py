"""What the plane tells Prometheus, in a registry of its own."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from nenrin.registry.kinds.rescoring import Rescoring
from nenrin.serving.livelog import LiveLog
from nenrin.serving.plane.answering import Answers
from nenrin.serving.plane.table import RouteTable

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)


class PlaneMetrics:
    """Counts requests and predictions; asks log and table when it is scraped."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self, table: RouteTable, log: LiveLog, rescoring: Rescoring | None = None) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "nenrin_requests",
            "Inference requests",
            ["deployment", "protocol", "status"],
            registry=self._registry,
        )
        self._seconds = Histogram(
            "nenrin_request_seconds",
            "Time from the whole request to its answer",
            ["deployment"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._predictions = Counter(
            "nenrin_predictions",
            "Rows answered",
            ["deployment", "version"],
            registry=self._registry,
        )
        self._registry.register(_State(table, log, rescoring))

    def answered(self, deployment: str, protocol: str, seconds: float, answers: Answers) -> None:
        """A request was answered."""
        self._requests.labels(deployment, protocol, "200").inc()
        self._seconds.labels(deployment).observe(seconds)
        for version in set(answers.versions):
            rows = answers.versions.count(version)
            self._predictions.labels(deployment, version).inc(rows)

    def failed(self, deployment: str, protocol: str, status: int) -> None:
        """A request was refused or failed; ``deployment`` is one that is served, or empty."""
        self._requests.labels(deployment, protocol, str(status)).inc()

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)


class _State(Collector):
    """What others count, read when asked."""

    def __init__(self, table: RouteTable, log: LiveLog, rescoring: Rescoring | None) -> None:
        self._table = table
        self._log = log
        self._rescoring = rescoring

    def collect(self) -> Iterator[Metric]:
        counts = self._log.counts
        for name, value, what in (
            ("issued", counts.issued, "Predictions answered"),
            (
                "dropped",
                counts.dropped,
                "Predictions not logged because the disk was too slow, or refused",
            ),
            ("lost", counts.lost, "Predictions that a kill took before they were written"),
        ):
            yield CounterMetricFamily(f"nenrin_prediction_log_{name}", what, value=value)
        what = "Predictions that are not written yet"
        yield GaugeMetricFamily("nenrin_prediction_log_waiting", what, value=self._log.waiting)
        if self._rescoring is not None:
            for name, value, what in (
                ("rescored", self._rescoring.rescored, "Requests that an original answered again"),
                ("breaches", self._rescoring.breaches, "Compiled forms that were given up"),
            ):
                yield CounterMetricFamily(f"nenrin_compiled_{name}", what, value=value)
        ready = GaugeMetricFamily(
            "nenrin_deployment_ready", "1: what the route names is served", labels=["deployment"]
        )
        for name in sorted({*self._table.served, *self._table.problems} - {""}):
            ready.add_metric([name], float(name not in self._table.problems))
        yield ready
