"""Ten times the capacity of the service: the excess is rejected, the rest answered, and latency recovers."""

from __future__ import annotations

import time

from benchmarks.torture.outcome import report, run
from benchmarks.torture.served import p99, percentile, served
from benchmarks.torture.small import full, small

TIMES, GOODPUT, RECOVERY = 10, 0.8, 5.0
RECOVERED = 1.5  # p95 over that before the load, at most


def main() -> None:
    """Measure the capacity first, in the same run."""
    seconds = 120 if full() else 20
    with small(trained=True) as shop, served(shop, rate_per_minute=0) as service:
        capacity = service.capacity(10)
        with service.load(5, rate=capacity / 4) as calm:
            pass
        with service.load(seconds, rate=TIMES * capacity, clients=64) as storm:
            pass
        ended = time.time()
        with service.load(RECOVERY + 5, rate=capacity / 4) as after:
            pass
    good = [line for line in storm.lines if line["status"] == 200]
    other = [line for line in storm.lines if line["status"] not in (200, 429)]
    late = [line for line in after.lines if line["at"] > ended + RECOVERY]
    goodput = len(good) / seconds / capacity
    recovered = percentile(late, 95) / percentile(calm.lines, 95)
    unwell = sum(line["status"] != 200 or line["degraded"] for line in late)
    failures = len(other) + (goodput < GOODPUT) + unwell + (recovered > RECOVERED)
    figures = {
        "capacity_a_second": capacity,
        "sent_a_second": len(storm.lines) / seconds,
        "goodput": goodput,
        "turned_away": sum(line["status"] == 429 for line in storm.lines) / len(storm.lines),
        "degraded": sum(line["degraded"] for line in good) / max(1, len(good)),
        "p99_calm_ms": p99(calm.lines),
        "p99_storm_ms": p99(good),
        "p95_after_over_calm": recovered,
    }
    report("overload", len(storm.lines), failures, **figures)


if __name__ == "__main__":
    run(main)
