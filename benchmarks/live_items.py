"""How long a new price takes until it is in the answers of two services over one workspace, while they give 50 answers a second.

Half of the answers are ranked lists of known users, half the popular list, whose first item changes its price. The change goes to one of
the services in turn. What counts is how long after it was sent an answer of either still begins that has the old price; the answers' own
duration is another matter, and is reported beside it, as is the time to the end of the first answer with the new price in both.

    python -m benchmarks.live_items --workspace WORKSPACE [--changes 200]
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np

RATE, CLIENTS = 25, 5  # answers a second of each service, and how many ask for them in turn
APART = 0.4  # seconds between two changes
PATIENCE = 300.0
TARGET = 1.0


class Service:
    """One `recsys serve`, and a client that asks it without end."""

    def __init__(self, workspace: Path, log: Path) -> None:
        words = ["-m", "recsys", "--workspace", str(workspace), "serve", "--port", "0"]
        self._log = log.open("wb")
        environment = os.environ | {"OMP_NUM_THREADS": "1", "RECSYS_SERVE__BUDGET_MS": "2000"}
        self.process = subprocess.Popen([sys.executable, *words], stderr=self._log, env=environment)
        until = time.monotonic() + PATIENCE
        while "port" not in (head := log.read_text(encoding="utf-8").partition("\n")[0]):
            if time.monotonic() > until or self.process.poll() is not None:
                raise TimeoutError(f"the service did not start: {log.read_text(encoding='utf-8')}")
            time.sleep(0.1)
        self.port = json.loads(head)["port"]
        while self.post("/v1/recommend", {"k": 1})[0] != 200:
            time.sleep(0.2)
        self.seen: list[tuple[float, float, float]] = []  # when an answer began and came, and the price in it
        self.milliseconds: list[float] = []
        self.stopped = threading.Event()

    def post(self, path: str, body: Any, connection: http.client.HTTPConnection | None = None) -> tuple[int, Any]:
        connection = connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        except OSError:
            return 0, {}

    def stale(self, price: float, sent: float) -> float:
        """Return how long after it was sent an answer still began that has an older price: prices rise."""
        return max(0.0, *(begun - sent for begun, _, seen in self.seen if seen < price))

    def first(self, price: float, sent: float) -> float:
        """Return how long after it was sent an answer was there that has the price, or a later one."""
        return min((end - sent for begun, end, seen in self.seen if begun >= sent and price <= seen), default=np.inf)

    def ask(self, users: list[str], start: int) -> None:
        """Ask for lists at the rate, and note new prices of the first popular item."""
        connection, number, due = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE), 0, time.perf_counter()
        while not self.stopped.is_set():
            popular = number % 2 == 0
            begun = time.perf_counter()
            status, answer = self.post(
                "/v1/recommend", {"k": 10} if popular else {"user": users[(start + number) % len(users)]}, connection
            )
            if status == 200:
                self.milliseconds.append(1000 * (time.perf_counter() - begun))
                if popular:
                    self.seen.append((begun, time.perf_counter(), answer["items"][0]["price"]))
            number, due = number + 1, max(due + CLIENTS / RATE, time.perf_counter() - 1)
            time.sleep(max(0.0, due - time.perf_counter()))

    def said(self) -> str:
        """Return what its log says that is no request."""
        lines = Path(self._log.name).read_text(encoding="utf-8").splitlines()
        return "\n".join(line for line in lines if '"message": "request"' not in line and '"info"' not in line)

    def stop(self) -> None:
        self.stopped.set()
        self.process.terminate()
        self.process.wait(60)
        self._log.close()


def users_of(workspace: Path) -> list[str]:
    """Return ids of users of the log."""
    current = (workspace / "data" / "CURRENT").read_text(encoding="utf-8").strip()
    import polars as pl

    log = pl.scan_parquet(workspace / "data" / current / "interactions.parquet").select("user_id").unique(maintain_order=True)
    return log.head(200).collect()["user_id"].to_list()


def measure(folder: Path, workspace: Path, changes: int) -> dict[str, Any]:
    """Change a price again and again; return the seconds until both services show it, and what the answers took."""
    services = [Service(folder, folder.parent / f"service-{number}.log") for number in range(2)]
    users = users_of(workspace)
    try:
        item = services[0].post("/v1/recommend", {"k": 10})[1]["items"][0]["item_id"]
        threads = [threading.Thread(target=service.ask, args=(users, 17 * n), daemon=True) for service in services for n in range(CLIENTS)]
        for thread in threads:
            thread.start()
        time.sleep(3)
        for service in services:
            service.milliseconds.clear()
        began, sent, stored = time.perf_counter(), {}, []
        for number in range(changes):
            price = round(100 + number / 100, 2)
            sent[price] = time.perf_counter()
            status, _ = services[number % 2].post("/v1/items", {"items": [{"item": item, "price": price}]})
            assert status == 202, status
            stored.append(1000 * (time.perf_counter() - sent[price]))
            time.sleep(max(0.0, sent[price] + APART * (1 + number % 3 / 10) - time.perf_counter()))
        time.sleep(3)
        lasted = time.perf_counter() - began
        for service in services:
            service.stopped.set()
        for thread in threads:
            thread.join(10)
    finally:
        for service in services:
            service.stop()
            print(service.said(), file=sys.stderr)
    times, first = (
        np.array([max(getattr(service, how)(price, at) for service in services) for price, at in sent.items()])
        for how in ("stale", "first")
    )
    answers = sum(len(service.milliseconds) for service in services)
    p50, p99 = np.percentile([ms for service in services for ms in service.milliseconds], [50, 99])
    ms = {"stored_ms": np.percentile(stored, [50, 99]).round(1).tolist()}
    ms["first_answer_s"] = np.percentile(first, [50, 99], method="higher").round(2).tolist()
    return ms | {"seconds": times, "answers_a_second": answers / lasted, "answer_ms": [round(p50, 1), round(p99, 1)]}


def main() -> None:
    """Print the 99th percentile as one line of JSON; `ratio` is that to the target of a second."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", type=Path, required=True)
    parser.add_argument("--changes", type=int, default=200)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="live-items-") as name:
        folder = Path(name) / "workspace"
        shutil.copytree(given.workspace / "bundles", folder / "bundles", copy_function=os.link)
        found = measure(folder, given.workspace, given.changes)
    seconds = found.pop("seconds")
    random = np.random.default_rng(0)
    drawn = np.percentile(random.choice(seconds, (2_000, len(seconds))), 99, axis=1, method="higher")
    low, high = np.percentile(drawn, [2.5, 97.5], method="nearest")
    p50, p99 = np.percentile(seconds, [50, 99], method="higher")
    line = {
        "name": "live items, p99 seconds",
        "ratio": p99 / TARGET,
        "low": low,
        "high": high,
        "target": TARGET,
        "kept": bool(p99 < TARGET),
    }
    print(json.dumps(line | {"p50": p50, "most": seconds.max(), "changes": len(seconds)} | found, default=float))


if __name__ == "__main__":
    main()
