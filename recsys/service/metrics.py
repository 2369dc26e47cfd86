"""Defines the Prometheus metrics of /metrics. Workers share them through a folder, so any worker reports all.

A process keeps what it counts in the files of its number; one that ends leaves them to the next of that number.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest, values
from prometheus_client.multiprocess import MultiProcessCollector

if TYPE_CHECKING:
    from prometheus_client.samples import Sample

FOLDER = "PROMETHEUS_MULTIPROC_DIR"  # the variable that names it
_number: int | str = "imports"


def count_as(number: int | str) -> None:
    """Keep the metrics of this process in the files of that number from now on. No two running processes have the same."""
    global _number  # noqa: PLW0603
    _number = number


if FOLDER in os.environ:  # before the first metric
    values.ValueClass = values.MultiProcessValue(lambda: _number)  # pyright: ignore[reportArgumentType]

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 1, 2.5, 5, 10)  # seconds

REQUESTS = Histogram("recsys_request_seconds", "Duration of requests.", ("route", "status"), buckets=BUCKETS)
STAGES = Histogram("recsys_stage_seconds", "Duration of the stages of an answer.", ("stage",), buckets=BUCKETS)
DEGRADED = Counter("recsys_degraded", "Answers without ranking, by reason: late, failed, left_out.", ("reason",))
FALLBACKS = Counter("recsys_fallback", "Lists that are not personal, by kind.", ("kind",))
SEARCHES = Counter("recsys_searches", "Searches answered.")
SEARCH_FINDINGS = Counter(
    "recsys_search_findings", "Searches, by what became of them: zero_results, mended, relaxed, reformulated.", ("kind",)
)
WORDINGS = Counter(
    "recsys_wordings",
    "Rewordings by the language model, by outcome: accepted, unchanged, refused, placeholders, timeout, http_error, nonsense.",
    ("outcome",),
)
ASSISTANT_TURNS = Counter(
    "recsys_assistant_turns", "Messages to the assistant, by outcome: answered, asked, unanswered, handed_over.", ("outcome",)
)
HAND_OVERS = Counter("recsys_assistant_hand_overs", "Conversations that a person must take over, by reason.", ("reason",))
THUMBS = Counter("recsys_assistant_thumbs", "What customers think of answers: up, down.", ("thumb",))
REJECTED = Counter("recsys_rejected", "Requests refused, by reason.", ("reason",))
EVENTS = Counter("recsys_events", "Events stored.")
IMPRESSIONS = Counter("recsys_impressions", "Rows of pages stored as impressions.")
LOST_PAGES = Counter("recsys_lost_pages", "Pages served that were not stored as impressions.")
ACTIONS = Counter("recsys_actions", "Actions on impressions, by outcome: new, repeated, unknown, not_shown, too_many.", ("outcome",))
ITEM_CHANGES = Counter("recsys_item_changes", "Changes of prices and stock stored.")
SWAPS = Counter("recsys_swaps", "New bundles, by outcome: taken, refused.", ("outcome",))
FETCHED = Gauge(
    "recsys_store_timestamp_seconds",
    "When the shared store was last read without a failure, in seconds since 1970; 0 without one.",
    multiprocess_mode="mostrecent",
)
BUNDLE_AGE = Gauge("recsys_bundle_age_seconds", "Age of the bundle in use.", multiprocess_mode="mostrecent")
COVERAGE = Gauge(
    "recsys_list_coverage",
    "Share of the catalogue that a worker's lists have shown since it opened its bundle.",
    multiprocess_mode="livemax",
)
DRIFT = Gauge(
    "recsys_score_drift",
    "Population stability index of served probabilities against those of the training log's users.",
    multiprocess_mode="mostrecent",
)


def page() -> bytes:
    """Return all metrics in Prometheus' text format."""
    return generate_latest(_registry())


def samples() -> list[Sample]:
    """Return the present values of all metrics."""
    return [sample for metric in _registry().collect() for sample in metric.samples]


def _registry() -> CollectorRegistry:
    """Return the metrics of all workers."""
    if FOLDER not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry
