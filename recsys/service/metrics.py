"""What Prometheus reads at /metrics; several workers write into one folder, and any of them answers for all."""

from __future__ import annotations

import os

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 1, 2.5, 5, 10)  # seconds

REQUESTS = Histogram("recsys_request_seconds", "Time of whole requests.", ("route", "status"), buckets=BUCKETS)
STAGES = Histogram("recsys_stage_seconds", "Time of the stages of an answer.", ("stage",), buckets=BUCKETS)
DEGRADED = Counter("recsys_degraded", "Answers in the order of retrieval, by what became of the ranking.", ("reason",))
FALLBACKS = Counter("recsys_fallback", "Answers that are not personal lists.", ("kind",))
REJECTED = Counter("recsys_rejected", "Requests turned away.", ("reason",))
EVENTS = Counter("recsys_events", "Events stored.")
SWAPS = Counter("recsys_swaps", "Bundles that were to be taken into use.", ("outcome",))
BUNDLE_AGE = Gauge("recsys_bundle_age_seconds", "Since the bundle in use was published.", multiprocess_mode="mostrecent")
COVERAGE = Gauge(
    "recsys_list_coverage", "Share of the catalogue that a worker's lists have shown since its bundle came.", multiprocess_mode="max"
)
DRIFT = Gauge(
    "recsys_score_drift",
    "Population stability index of served probabilities against those of the training log's users.",
    multiprocess_mode="mostrecent",
)


def page() -> bytes:
    """All of them, in Prometheus' text format."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return generate_latest(registry)
