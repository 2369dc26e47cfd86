"""Hours at half load with a swap every half minute: resources are stable, and every answer is correct."""

from __future__ import annotations

import time

from benchmarks.torture.client import USERS
from benchmarks.torture.outcome import report, run, show
from benchmarks.torture.served import p99, served, two_bundles, use
from benchmarks.torture.small import count, small

EVERY, GROWTH = 30.0, 1.1


def main() -> None:
    """Compare resources with those after the second swap, when both bundles have been used once."""
    minutes = count(3, 240, "minutes")
    with small(trained=True) as shop:
        (turn, oracle), taken = two_bundles(shop, USERS), []
        with served(shop, budget_ms=5_000, queue=256) as service:
            rate = service.capacity() / 2
            with service.load(minutes * 60, rate=rate) as load:
                begun = time.monotonic()
                while time.monotonic() - begun < minutes * 60 - EVERY / 2:
                    use(shop, turn[len(taken) % 2])
                    service.wait(turn[len(taken) % 2])
                    time.sleep(EVERY)
                    taken.append(service.resources())
    wrong = oracle.wrong(load.lines)
    base, last = taken[1], taken[-1]
    growth = {name: last[name] / base[name] for name in base}
    show(wrong)
    failures = len(wrong) + sum(value > GROWTH for value in growth.values())
    figures = {"rate": rate, "p99_ms": p99(load.lines), "mib": last["mib"], **{f"{name}_growth": value for name, value in growth.items()}}
    report("soak", len(load.lines), failures, minutes=minutes, swaps=len(taken), **figures)


if __name__ == "__main__":
    run(main)
