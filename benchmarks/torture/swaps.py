"""Hot swaps under load: no request fails or waits, each answer is that of its bundle, and memory is stable."""

from __future__ import annotations

import time

from benchmarks.torture.client import USERS
from benchmarks.torture.outcome import report, run, show
from benchmarks.torture.served import p99, served, two_bundles, use
from benchmarks.torture.small import count, small

SETTLED = 5  # swaps before memory is compared
SLOWER = 1.5  # the p99 during swaps over that before
GROWTH = 1.1  # of memory, after that
APART = 3.0  # seconds between two swaps
FIRST = 1.0  # seconds that count as a swap after the new bundle is in use: the first answers from it


def main() -> None:
    """Swap two bundles in turn at half of the service's capacity."""
    wanted = count(30, 500, "swaps", APART)
    with small(trained=True) as shop:
        (turn, oracle), swapping, taken = two_bundles(shop, USERS), [], []
        with served(shop, budget_ms=5_000, queue=256) as service:
            rate = service.capacity() / 2
            with service.load(wanted * (APART + 30), rate=rate) as load:
                time.sleep(3)
                for number in range(wanted):
                    begun = time.time()
                    use(shop, turn[number % 2])
                    service.wait(turn[number % 2])
                    swapping.append((begun, time.time() + FIRST))
                    time.sleep(APART)
                    taken.append(service.resources()["mib"])  # of one worker: its predecessor has ended
                load.stop()
    lines = load.lines
    wrong = oracle.wrong(lines)
    during = [line for line in lines if any(begin - line["ms"] / 1000 <= line["at"] <= end for begin, end in swapping)]
    before = [line for line in lines if line not in during]
    ratio, growth = p99(during) / p99(before), max(taken[SETTLED:]) / taken[SETTLED]
    show(wrong)
    if ratio > SLOWER:  # show when during a swap they waited
        for line in sorted(during, key=lambda line: -line["ms"])[: len(during) // 50]:
            begin = max(begin for begin, _ in swapping if begin <= line["at"] + line["ms"] / 1000)
            print({"ms": round(line["ms"]), "sent": round(line["at"] - begin, 3), "user": line["user"]})
    failures = len(wrong) + (ratio > SLOWER) + (growth > GROWTH)
    figures = {"rate": rate, "requests": len(lines), "wrong": len(wrong), "growth": growth}
    report("swaps", wanted, failures, p99_before_ms=p99(before), p99_during_ms=p99(during), **figures)


if __name__ == "__main__":
    run(main)
