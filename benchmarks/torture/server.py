"""The service itself is killed while it takes events: each that was acknowledged is stored, once, and the next process answers with it."""

from __future__ import annotations

import threading
from http.client import HTTPException

import numpy as np

from benchmarks.torture.outcome import report, run
from benchmarks.torture.served import Served, served
from benchmarks.torture.small import full, small
from recsys.recommend.present import UNTRAINED

ITEM, LATEST_KILL = "sku-07", 0.5  # seconds


def acknowledged(service: Served, first: int) -> list[str]:
    """New users, one event each, until the service is gone: those whose event was taken."""
    users: list[str] = []
    try:
        while True:
            user = f"new-{first + len(users)}"
            assert service.post("/v1/events", {"events": [{"user": user, "item": ITEM}]})["new"] == 1
            users.append(user)
    except (OSError, HTTPException):
        return users


def main() -> None:
    """One line. events: acknowledged in all; lost, twice: of them. unknown: users whom the next process did not know."""
    kills, rng = 100 if full() else 6, np.random.default_rng(0)
    told: list[str] = []
    unknown = 0
    with small() as shop:
        for kill in range(kills):
            with served(shop) as service:
                if told:
                    unknown += service.post("/v1/recommend", {"user": told[-1]})["fallback"] != UNTRAINED
                threading.Timer(rng.uniform(0, LATEST_KILL), service.process.kill).start()
                told += acknowledged(service, 10_000 * kill)
        stored = shop.workspace.events.frame()["user_id"].to_list()
    lost, twice = len(set(told) - set(stored)), len(stored) - len(set(stored))
    report("killed_server", kills, lost + twice + unknown + (not told), events=len(told), lost=lost, twice=twice, unknown=unknown)


if __name__ == "__main__":
    run(main)
