"""The hub's figures in the Prometheus text format; lower rooms emit none, the rows say everything."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from importlib.metadata import version
from typing import Any

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4 as MEDIA_TYPE
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hub.health import LATE, Seen, Trouble
from hub.proofs import CHANNELS
from hub.wiring import Hub
from store import figures, lookups, processes, proofs, providers, webhooks
from store.figures import Figures, Strain
from store.processes import Process

__all__ = ["MEDIA_TYPE", "NAMES", "text"]

NAMES = {  # name -> help; docs/operation.md lists the same
    "tocsin_build_info": "Version and mode of this program.",
    "tocsin_database_up": "1 when the database answered this scrape.",
    "tocsin_trouble": "1 while a named trouble lasts.",
    "tocsin_process_seen_age_seconds": "Since the last heartbeat of a process that has not left.",
    "tocsin_reports": "Reports of the queue by state.",
    "tocsin_mail_senders": "Mails by what the look at their sender came to.",
    "tocsin_channel_heard_age_seconds": "Since a channel was last heard: by a real report, and by a synthetic one.",
    "tocsin_releases": "Releases by state.",
    "tocsin_inbound_messages": "Messages that doors have kept.",
    "tocsin_inbound_unfiled": "Messages that are not in the queue yet.",
    "tocsin_inbound_unfiled_oldest_seconds": "Age of the oldest message that is not in the queue yet.",
    "tocsin_asked_again": "Elements that reporters were asked for though their reports held them already.",
    "tocsin_handovers": "Hand-overs to bodies by state; overdue: not signed for in time; turned_down: not theirs, they say.",
    "tocsin_dispatches": "Promises to send by channel and state.",
    "tocsin_parcels": "Parcels by channel and state.",
    "tocsin_deliveries": "Deliveries that are queued, sending or unsure, by channel.",
    "tocsin_look_ups": "Deliveries that providers were asked about, by channel and verdict.",
    "tocsin_provider_rest_seconds": "Until a provider that does not answer, or asked for a pause, is called again.",
    "tocsin_outbox_oldest_due_seconds": "How long the oldest due dispatch or parcel has waited.",
    "tocsin_receipts_waiting": "Receipts whose message is not known yet.",
    "tocsin_webhooks": "Addresses of departments by state; a disabled one is off, and its department hears nothing.",
    "tocsin_webhook_calls": "Calls of departments by state: pending ones wait, delivered ones were sent, dropped ones failed.",
    "tocsin_shelf_open": "Things on the shelf that nobody has settled.",
    "tocsin_door_refused": "Calls of webhooks that this process turned away since it started, by reason.",
    "tocsin_door_full": "Messages that were sent away because too many waited already, by door.",
    "tocsin_spool_frames": "Messages that wait in the spool of this machine.",
    "tocsin_disk_free_bytes": "Free bytes of each place, without what the ballast holds.",
    "tocsin_quarantined": "Reports that bear a mark of secrecy and wait for the security officer.",
    "tocsin_journal_last_entry": "Number of the newest journal entry.",
    "tocsin_journal_last_root": "Number of the newest signed root.",
    "tocsin_journal_last_root_age_seconds": "Age of the newest signed root.",
    "tocsin_journal_unsealed_seconds": "Age of the oldest entry that no root covers.",
}


def text(hub: Hub) -> bytes:
    """Everything, read now. With the database down: what files and the last look say."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Reading(hub))
    return generate_latest(registry)


class _Reading(Collector):
    """One scrape."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def collect(self) -> Iterator[Metric]:
        """Every metric, in the order of NAMES."""
        hub, at = self._hub, self._hub.clock()
        seen = hub.health.look()
        yield _gauge("tocsin_build_info", {(version("tocsin"), hub.mode.value): 1}, "version", "mode")
        yield _gauge("tocsin_database_up", {(): int(seen.strain is not None)})
        yield _gauge("tocsin_trouble", {(t.value,): int(t in seen.troubles) for t in Trouble}, "trouble")
        yield _gauge("tocsin_door_refused", {(code,): n for code, n in hub.refused.items()}, "reason")
        yield _gauge("tocsin_door_full", {(door,): n for door, n in hub.crowd.refused.items()}, "door")
        yield from _of_machine(seen)
        if seen.strain is None:
            return
        found, running = hub.store.read(
            lambda unit: (figures.figures(unit), processes.listing(unit, at - 2 * LATE))
        )
        yield _gauge("tocsin_process_seen_age_seconds", _heartbeats(running, at), "kind", "host", "pid")
        yield from _of_channels(hub, at)
        yield from _of_providers(hub, at)
        yield from _of_strain(seen.strain, at)
        yield from _of_webhooks(hub)
        yield from _of_rows(found, at)


def _of_machine(seen: Seen) -> Iterator[Metric]:
    yield _gauge("tocsin_spool_frames", {(): seen.spooled})
    yield _gauge("tocsin_disk_free_bytes", {(name,): p.free for name, p in seen.places.items()}, "place")


def _of_channels(hub: Hub, at: datetime) -> Iterator[Metric]:
    heard, real = hub.store.read(
        lambda unit: (proofs.all_of(unit, CHANNELS), proofs.last_real(unit, CHANNELS))
    )
    ages = {(channel, "real"): _age(moment, at) for channel, moment in real.items()}
    ages |= {(one.channel, "proof"): _age(one.proved_at, at) for one in heard if one.proved_at}
    yield _gauge("tocsin_channel_heard_age_seconds", ages, "channel", "kind")


def _of_providers(hub: Hub, at: datetime) -> Iterator[Metric]:
    asked, troubled = hub.store.read(lambda unit: (lookups.counts(unit), providers.troubled(unit, at)))
    rests = {
        (one.channel, one.spare, one.standing): max((one.until - at).total_seconds(), 0.0) for one in troubled
    }
    yield _gauge("tocsin_look_ups", asked, "channel", "verdict")
    yield _gauge("tocsin_provider_rest_seconds", rests, "channel", "spare", "standing")


def _of_webhooks(hub: Hub) -> Iterator[Metric]:
    addresses, calls = hub.store.read(lambda unit: (webhooks.counts(unit), webhooks.call_counts(unit)))
    yield _gauge("tocsin_webhooks", {(state,): n for state, n in addresses.items()}, "state")
    yield _gauge("tocsin_webhook_calls", {(state,): n for state, n in calls.items()}, "state")


def _of_strain(strain: Strain, at: datetime) -> Iterator[Metric]:
    yield _gauge("tocsin_inbound_unfiled", {(): strain.unfiled})
    yield _gauge("tocsin_inbound_unfiled_oldest_seconds", {(): _age(strain.oldest_unfiled, at)})
    yield _gauge("tocsin_outbox_oldest_due_seconds", {(): _age(strain.oldest_due, at)})
    yield _gauge("tocsin_journal_unsealed_seconds", {(): _age(strain.oldest_unsealed, at)})


def _of_rows(found: Figures, at: datetime) -> Iterator[Metric]:
    yield _gauge("tocsin_reports", {(state,): n for state, n in found.reports.items()}, "state")
    yield _gauge("tocsin_mail_senders", {(verdict,): n for verdict, n in found.senders.items()}, "verdict")
    yield _gauge("tocsin_releases", {(state,): n for state, n in found.releases.items()}, "state")
    yield _gauge("tocsin_inbound_messages", {(): found.inbound})
    yield _gauge("tocsin_asked_again", {(): found.asked_again})
    yield _gauge("tocsin_handovers", {(state,): n for state, n in found.handovers.items()}, "state")
    yield _gauge("tocsin_dispatches", found.dispatches, "channel", "state")
    yield _gauge("tocsin_parcels", found.parcels, "channel", "state")
    yield _gauge("tocsin_deliveries", found.deliveries, "channel", "state")
    yield _gauge("tocsin_receipts_waiting", {(): found.receipts_waiting})
    yield _gauge("tocsin_shelf_open", {(): found.shelved})
    yield _gauge("tocsin_quarantined", {(): found.quarantined})
    yield _gauge("tocsin_journal_last_entry", {(): found.journal_entries})
    yield _gauge("tocsin_journal_last_root", {(): found.roots})
    yield _gauge("tocsin_journal_last_root_age_seconds", {(): _age(found.last_root, at)})


def _heartbeats(running: list[Process], at: datetime) -> dict[tuple[str, ...], float]:
    return {(p.kind, p.host, str(p.pid)): _age(p.seen_at, at) for p in running if p.left_at is None}


def _age(moment: datetime | None, at: datetime) -> float:
    """Seconds since `moment`; 0 when nothing waits."""
    return max((at - moment).total_seconds(), 0.0) if moment else 0.0


def _gauge(name: str, values: Mapping[Any, float], *labels: str) -> Metric:
    """`values`: a tuple with a value for each label -> number."""
    made = GaugeMetricFamily(name, NAMES[name], labels=labels)
    for key, value in values.items():
        made.add_metric(key, value)
    return made
