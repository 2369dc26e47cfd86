"""Kills the service while it receives events: each acknowledged event is stored once and used afterwards."""

from __future__ import annotations

import threading
from http.client import HTTPException

import numpy as np

from benchmarks.torture.outcome import report, run
from benchmarks.torture.served import Served, served
from benchmarks.torture.small import count, small
from recsys.recommend.present import UNTRAINED

ITEM, LATEST_KILL = "sku-07", 0.5  # seconds


def acknowledged(service: Served, first: int) -> list[str]:
    """Post one event each of new users until the service is gone, and return the users whose event was acknowledged."""
    users: list[str] = []
    try:
        while True:
            user = f"new-{first + len(users)}"
            assert service.post("/v1/events", {"events": [{"user": user, "item": ITEM}]})["new"] == 1
            users.append(user)
    except (OSError, HTTPException):
        return users


def main() -> None:
    """Print one line.

    `events` counts acknowledged events, `lost` and `twice` those of them that are stored never or twice, `unknown` the
    users that the next process did not know.
    """
    kills, rng = count(6, 100, "kills"), np.random.default_rng(0)
    users: list[str] = []
    unknown = 0
    with small() as shop:
        for kill in range(kills):
            with served(shop) as service:
                if users:
                    unknown += service.post("/v1/recommend", {"user": users[-1]})["fallback"] != UNTRAINED
                threading.Timer(rng.uniform(0, LATEST_KILL), service.kill).start()
                users += acknowledged(service, 10_000 * kill)
        stored = shop.workspace.events.frame()["user_id"].to_list()
    lost, twice = len(set(users) - set(stored)), len(stored) - len(set(stored))
    report("killed_server", kills, lost + twice + unknown + (not users), events=len(users), lost=lost, twice=twice, unknown=unknown)


if __name__ == "__main__":
    run(main)
