"""Ten times the capacity of the service: the excess is rejected, the rest answered, and latency recovers.

The service is measured alone and, where HAProxy is installed, behind the proxy of deploy/haproxy, in turn.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.torture.outcome import report, run
from benchmarks.torture.proxy import installed, proxied
from benchmarks.torture.served import p99, percentile, served
from benchmarks.torture.small import count, small

if TYPE_CHECKING:
    from benchmarks.torture.served import Line, Served

TIMES, GOODPUT, RECOVERY = 10, 0.9, 5.0
RECOVERED = 1.5  # p95 over that before the load, at most
CAPACITY_SECONDS, CALM_SECONDS, STORM_SECONDS = 4.0, 3.0, 8.0
FLOOD_SECONDS = 2 * CAPACITY_SECONDS + 2 * CALM_SECONDS + STORM_SECONDS + RECOVERY  # with what is measured around it


def main() -> None:
    """Flood the service in each way, five times or once."""
    floods = count(1, 5, "floods of the service, and behind the proxy where HAProxy is installed", FLOOD_SECONDS)
    with small(trained=True) as shop, served(shop, rate_per_minute=0) as service, contextlib.ExitStack() as stack:
        ways = {"overload": service}
        if installed():
            ways["overload_behind_proxy"] = stack.enter_context(proxied(service))
        for _ in range(floods):
            for name, way in ways.items():
                flood(name, way)


def flood(name: str, service: Served) -> None:
    """Report one flood. Capacity is measured before it and after it: the machine may have become slower meanwhile."""
    before = Measured.of(service, CAPACITY_SECONDS, clients=4)
    rate = before.goodput
    calm = Measured.of(service, CALM_SECONDS, rate=rate / 4)
    storm = Measured.of(service, STORM_SECONDS, rate=TIMES * rate, clients=64)
    ended = time.time()
    after = Measured.of(service, RECOVERY + CALM_SECONDS, rate=rate / 4)
    again = Measured.of(service, CAPACITY_SECONDS, clients=4)
    late = [line for line in after.lines if line["at"] > ended + RECOVERY]
    goodput = storm.goodput / ((before.goodput + again.goodput) / 2)
    recovered = percentile(late, 95) / percentile(calm.lines, 95)
    other = sum(line["status"] not in (200, 429) for line in storm.lines)
    unwell = sum(line["status"] != 200 or line["degraded"] for line in late)
    figures = {
        "capacity_before": before.goodput,
        "capacity_after": again.goodput,
        "sent_a_second": len(storm.lines) / STORM_SECONDS,
        "goodput": goodput,
        # What the flood costs the processor; other work on the machine does not change it.
        "answers_a_cpu_second_over_capacity": storm.efficiency / ((before.efficiency + again.efficiency) / 2),
        "turned_away": sum(line["status"] == 429 for line in storm.lines) / len(storm.lines),
        "degraded": sum(line["degraded"] for line in storm.good) / max(1, len(storm.good)),
        "p99_calm_ms": p99(calm.lines),
        "p99_storm_ms": p99(storm.good),
        "p95_after_over_calm": recovered,
    }
    report(name, len(storm.lines), other + (goodput < GOODPUT) + unwell + (recovered > RECOVERED), **figures)


@dataclass(frozen=True)
class Measured:
    """The requests of a time, and the processor seconds that the service took for them."""

    seconds: float
    lines: list[Line]
    cpu_seconds: float

    @classmethod
    def of(cls, service: Served, seconds: float, **load: object) -> Measured:
        """Put a load on the service for so many seconds."""
        before = service.cpu_seconds
        with service.load(seconds, **load) as sent:
            pass
        return cls(seconds, sent.lines, service.cpu_seconds - before)

    @property
    def good(self) -> list[Line]:
        """The requests that were answered."""
        return [line for line in self.lines if line["status"] == 200]

    @property
    def goodput(self) -> float:
        """Answers a second."""
        return len(self.good) / self.seconds

    @property
    def efficiency(self) -> float:
        """Answers a processor second of the service."""
        return len(self.good) / self.cpu_seconds


if __name__ == "__main__":
    run(main)
