"""Ten times the capacity of the service: the excess is rejected, the rest answered, and latency recovers.

The service is measured alone and, where HAProxy is installed, behind the proxy of deploy/haproxy, in turn.
"""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from benchmarks.torture.outcome import report, run
from benchmarks.torture.proxy import installed, proxied
from benchmarks.torture.served import p99, percentile, served
from benchmarks.torture.small import full, small

if TYPE_CHECKING:
    from benchmarks.torture.served import Line, Served

TIMES, GOODPUT, RECOVERY = 10, 0.9, 5.0
RECOVERED = 1.5  # p95 over that before the load, at most
CAPACITY_SECONDS, CALM_SECONDS = 4.0, 3.0


def main() -> None:
    """Flood the service in each way, five times or once."""
    with small(trained=True) as shop, served(shop, rate_per_minute=0) as service, contextlib.ExitStack() as stack:
        ways = {"overload": service}
        if installed():
            ways["overload_behind_proxy"] = stack.enter_context(proxied(service))
        for _ in range(5 if full() else 1):
            for name, way in ways.items():
                flood(name, way, 10)


def flood(name: str, service: Served, seconds: float) -> None:
    """Report one flood. Capacity is measured before it and after it: the machine may have become slower meanwhile."""
    before = service.capacity(CAPACITY_SECONDS)
    with service.load(CALM_SECONDS, rate=before / 4) as calm:
        pass
    with service.load(seconds, rate=TIMES * before, clients=64) as storm:
        pass
    ended = time.time()
    with service.load(RECOVERY + CALM_SECONDS, rate=before / 4) as after:
        pass
    late = [line for line in after.lines if line["at"] > ended + RECOVERY]
    capacities = before, service.capacity(CAPACITY_SECONDS)
    tell(name, seconds, capacities, (calm.lines, storm.lines, late))


def tell(name: str, seconds: float, capacities: tuple[float, float], lines: tuple[list[Line], list[Line], list[Line]]) -> None:
    """Print the figures of one flood: of the requests before it, in it, and once latency should have recovered."""
    calm, storm, late = lines
    good = [line for line in storm if line["status"] == 200]
    goodput = len(good) / seconds / (sum(capacities) / 2)
    recovered = percentile(late, 95) / percentile(calm, 95)
    other = sum(line["status"] not in (200, 429) for line in storm)
    unwell = sum(line["status"] != 200 or line["degraded"] for line in late)
    figures = {
        "capacity_before": capacities[0],
        "capacity_after": capacities[1],
        "sent_a_second": len(storm) / seconds,
        "goodput": goodput,
        "turned_away": sum(line["status"] == 429 for line in storm) / len(storm),
        "degraded": sum(line["degraded"] for line in good) / max(1, len(good)),
        "p99_calm_ms": p99(calm),
        "p99_storm_ms": p99(good),
        "p95_after_over_calm": recovered,
    }
    report(name, len(storm), other + (goodput < GOODPUT) + unwell + (recovered > RECOVERED), **figures)


if __name__ == "__main__":
    run(main)
