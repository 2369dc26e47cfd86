"""`recsys serve` as processes of its own, tested over a socket."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import psutil
import pytest

from recsys.artifacts.bundle import current_id
from recsys.recommend import open
from recsys.recommend.request import RecommendOptions
from tests.recsys.calls import toml
from tests.recsys.conftest import Place
from tests.recsys.service.test_swap import flip_a_bit, publish

SECONDS = 240.0  # a busy machine needs a minute for two workers
# What was refused, or ended by itself, is tried again sooner than after ten seconds, and a busy machine does not hold a bundle up.
PROGRAM = """
from recsys.service.processes import handle, supervisor
supervisor.RETRY_SECONDS = handle.CALM_SECONDS = 0.5
from recsys.cli.main import main
main()
"""


@dataclass
class Running:
    """A service in processes of its own."""

    log: Path
    process: subprocess.Popen[bytes]

    @property
    def lines(self) -> list[dict]:
        return [json.loads(line) for line in self.log.read_text().splitlines()]

    @property
    def port(self) -> int:
        return next((line["port"] for line in self.lines if line["message"] == "starting"), 0)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def workers(self) -> set[int]:
        of_supervisor = psutil.Process(self.process.pid).children()
        forked = [worker for child in of_supervisor for worker in child.children()]
        return {worker.pid for worker in forked if worker.status() != psutil.STATUS_ZOMBIE}

    def wait(self, true: Callable[[], object]) -> None:
        until = time.monotonic() + SECONDS
        while not true():
            assert time.monotonic() < until, self.log.read_text()
            time.sleep(0.1)

    def bundles(self) -> set[str]:
        """Which bundles the workers answer from, each request over a new connection."""
        return {httpx2.get(f"{self.url}/readyz", timeout=SECONDS).json().get("bundle_id") for _ in range(20)}

    def answers(self) -> bool:
        try:
            return bool(self.port) and httpx2.get(f"{self.url}/readyz", timeout=SECONDS).status_code == 200
        except httpx2.TransportError:
            return False


@pytest.fixture
def start(spare: Place, tmp_path: Path) -> Iterator[Callable[[int], Running]]:
    """Starts the service with some workers."""
    config, log, started = tmp_path / "recsys.toml", tmp_path / "log", []
    config.write_text("\n".join(toml(spare.settings.model_dump(mode="json", exclude_unset=True))), encoding="utf-8")
    settings = {"RECSYS_SERVE__BUDGET_MS": "20000", "RECSYS_SERVE__POLL_SECONDS": "0.1", "PYTHONWARNINGS": "ignore"}

    def run(workers: int) -> Running:
        words = ["--workspace", spare.workspace.root, "--config", config, "serve", "--port", "0", "--workers", workers]
        with log.open("wb") as stderr:
            process = subprocess.Popen([sys.executable, "-c", PROGRAM, *map(str, words)], stderr=stderr, env=os.environ | settings)
        started.append(Running(log, process))
        started[0].wait(started[0].answers)
        return started[0]

    yield run
    for running in started:
        running.process.terminate()
        running.process.wait(SECONDS)


def test_two_workers_answer_take_a_new_bundle_and_end_well(spare: Place, start: Callable[[int], Running]) -> None:
    running = start(2)
    url, old = running.url, current_id(spare.workspace.bundles)
    (expected,) = open.open_recommender(spare.workspace).answer(RecommendOptions(), ["user-01"])
    with httpx2.Client() as kept_open:  # content after a head would be read as the next answer
        assert [kept_open.request(method, f"{url}/healthz").status_code for method in ("HEAD", "GET", "HEAD", "GET")] == [200] * 4
    answer = httpx2.post(f"{url}/v1/recommend", json={"user": "user-01"}, timeout=SECONDS).json()
    assert [item["item_id"] for item in answer["items"]] == [item.item_id for item in expected.items]
    assert answer["degraded"] is False
    assert httpx2.post(f"{url}/v1/events", json={"events": [{"user": "new", "item": "sku-07"}]}, timeout=SECONDS).status_code == 202
    # Any worker knows of the event, whichever stored it.
    fallbacks = [httpx2.post(f"{url}/v1/recommend", json={"user": "new"}, timeout=SECONDS).json()["fallback"] for _ in range(6)]
    assert fallbacks == [None] * 6

    stop, seen = threading.Event(), []

    def ask() -> None:
        """A connection that is kept open and never opened again for a request: one that is lost raises."""
        with httpx2.Client(transport=httpx2.HTTPTransport(retries=0), timeout=SECONDS) as client:
            while not stop.is_set():
                response = client.post(f"{url}/v1/recommend", json={"user": "user-01", "k": 1})
                seen.append((response.status_code, response.json()["bundle_id"], response.headers.get("connection")))
                time.sleep(0.05)  # the next bundle is opened when a core is idle

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    new = publish(spare, 7.5)
    running.wait(lambda: running.bundles() == {new})
    stop.set()
    for thread in threads:
        thread.join()
    assert {(status, bundle) for status, bundle, _ in seen} == {(200, old), (200, new)}
    assert {bundle for _, bundle, connection in seen if connection == "close"} == {old}, "those that retire"
    running.wait(lambda: len(running.workers) == 2)
    tasks = [task for pid in running.workers for task in Path(f"/proc/{pid}/task").iterdir()]
    assert {os.sched_getscheduler(int(task.name)) for task in tasks} == {os.SCHED_OTHER}, "those that answer are not held back"

    metrics = httpx2.get(f"{url}/metrics", timeout=SECONDS).text
    assert "recsys_events_total 1.0" in metrics, "counted by a process that has ended"
    assert 'recsys_swaps_total{outcome="taken"} 2.0' in metrics
    with socket.create_connection(("127.0.0.1", running.port)) as half:
        half.sendall(b"POST /v1/recommend HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 18\r\n\r\n{")
        time.sleep(0.5)
        running.process.send_signal(signal.SIGTERM)
        running.wait(lambda: not running.answers())
        half.sendall(b'"user":"user-01"}')
        assert half.recv(100_000).startswith(b"HTTP/1.1 200"), "running requests end well"
    assert running.process.wait(SECONDS) == 0
    assert "user-01" not in running.log.read_text()
    assert {line["level"] for line in running.lines} == {"info"}, running.log.read_text()


def test_a_lone_worker_survives_a_damaged_bundle_is_replaced_when_killed_and_ends_with_its_supervisor(
    spare: Place, start: Callable[[int], Running]
) -> None:
    running, old = start(1), current_id(spare.workspace.bundles)
    (first,) = running.workers
    running.process.send_signal(signal.SIGSTOP)  # the damage must be there before anybody looks
    new = publish(spare, 7.5)
    content = flip_a_bit(spare, new)
    running.process.send_signal(signal.SIGCONT)
    running.wait(lambda: "a bundle is refused" in running.log.read_text())
    assert running.bundles() == {old}
    os.kill(first, signal.SIGKILL)
    running.wait(lambda: running.workers and first not in running.workers and running.answers())
    assert running.bundles() == {old}, "the newest intact one"
    (spare.workspace.bundles / new / "snapshot/stats/item_stats.safetensors").write_bytes(content)
    running.wait(lambda: running.bundles() == {new})
    assert running.log.read_text().count("a bundle is refused") == 1
    running.wait(lambda: len(running.workers) == 1)
    (last,) = running.workers
    running.process.kill()
    running.wait(lambda: not psutil.pid_exists(last) or psutil.Process(last).status() == psutil.STATUS_ZOMBIE)
