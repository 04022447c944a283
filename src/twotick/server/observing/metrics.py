"""The server's counts as Prometheus reads them. No label names a user."""

from collections.abc import Iterable
from importlib.metadata import version
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from twotick.exchange import Histogram
from twotick.server.observing.observer import COMPILED, DiskState, Observer
from twotick.server.state import ServerState

CONTENT_TYPE: Final = CONTENT_TYPE_LATEST
"""The type of what `metrics` returns."""


class _ServerCollector(Collector):
    """The metrics of a server at a moment."""

    def __init__(
        self, state: ServerState, disk: DiskState | None, certificate_end: float | None, last_backup: float | None
    ) -> None:
        self._last_backup = last_backup
        self._state = state
        self._disk = disk
        self._certificate_end = certificate_end

    def collect(self) -> Iterable[Metric]:
        """Return the metrics."""
        yield from self._load()
        yield from self._work()
        yield from self._resources()

    def _load(self) -> Iterable[Metric]:
        state = self._state
        info = GaugeMetricFamily("twotick_info", "The version that runs", labels=["version", "compiled"])
        info.add_metric([version("twotick"), "yes" if COMPILED else "no"], 1)
        yield info
        connections = GaugeMetricFamily(
            "twotick_connections", "Connections, by what they are and how they came", labels=["kind", "transport"]
        )
        for kind in ("member", "guest", "registering"):
            for transport in ("socket", "web", "irc"):
                connections.add_metric([kind, transport], state.connections[kind, transport])
        yield connections
        yield _gauge("twotick_connections_limit", "How many connections there may be", state.most_connections)
        yield _gauge("twotick_store_waiting_requests", "Requests that the store has not answered", state.waiting)
        yield _gauge("twotick_queued_bytes", "Bytes of bodies that wait for receivers or the disk", state.queued_bytes)
        yield _gauge("twotick_held_bytes", "Bytes that connections hold", state.held_bytes)

    def _work(self) -> Iterable[Metric]:
        tally = self._state.tally
        messages = {"accepted": tally.accepted, "delivered": tally.delivered, "failed": tally.failed}
        yield _counter("twotick_messages", "Messages that were stored, by outcome", "outcome", messages)
        relayed = CounterMetricFamily("twotick_relayed_messages", "Messages to guests that were delivered")
        relayed.add_metric([], tally.relayed)
        yield relayed
        yield _counter("twotick_refusals", "Messages and connections that were refused", "reason", tally.refusals)
        yield _counter("twotick_logins", "Logins of members, by result", "result", tally.logins)
        yield _counter("twotick_hook_posts", "Posts to web hooks, by result", "result", tally.hooks)
        yield _counter("twotick_pushes", "Notifications that were posted to push services", "result", tally.pushes)
        yield _counter("twotick_mails", "E-mails about what waits, by result", "result", self._state.mails)
        delivery = HistogramMetricFamily(
            "twotick_delivery_seconds", "Time from the arrival of a message until all recipients have it", labels=["to"]
        )
        _add(delivery, ["member"], tally.until_delivered)
        _add(delivery, ["room"], tally.until_delivered_to_room)
        yield delivery
        commits = HistogramMetricFamily("twotick_commit_seconds", "Time of a transaction on the disk")
        _add(commits, [], self._state.commits)
        yield commits

    def _resources(self) -> Iterable[Metric]:
        full = "Whether messages are refused because the disk is full"
        yield _gauge("twotick_disk_full", full, self._state.disk_full)
        if self._disk is not None:
            yield _gauge("twotick_database_bytes", "Size of the database", self._disk.database)
            yield _gauge("twotick_disk_free_bytes", "Bytes that are free on its disk", self._disk.free)
        if self._certificate_end is not None:
            name = "twotick_certificate_expiry_timestamp_seconds"
            yield _gauge(name, "When the certificate ends", self._certificate_end)
        if self._last_backup is not None:
            yield _gauge("twotick_backup_timestamp_seconds", "When the newest backup was made", self._last_backup)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, label: str, counts: dict[str, int]) -> Metric:
    counter = CounterMetricFamily(name, text, labels=[label])
    for value, count in sorted(counts.items()):
        counter.add_metric([value], count)
    return counter


def _add(family: HistogramMetricFamily, labels: list[str], found: Histogram) -> None:
    so_far = 0
    buckets: list[tuple[str, float]] = []
    for bound, count in zip([*map(str, found.bounds), "+Inf"], found.counts, strict=True):
        so_far += count
        buckets.append((bound, so_far))
    family.add_metric(labels, buckets, found.sum)


async def metrics(observer: Observer) -> bytes:
    """Return the metrics of a server, as text."""
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    disk = await observer.disk()
    registry.register(_ServerCollector(observer.state, disk, observer.certificate_end, observer.last_backup))
    return generate_latest(registry)
