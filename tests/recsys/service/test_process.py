"""`recsys serve` as its own process with two workers, tested over a socket."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from recsys.recommend import open
from recsys.recommend.request import RecommendOptions
from tests.recsys.calls import toml
from tests.recsys.conftest import Place
from tests.recsys.service.test_swap import publish

SECONDS = 240.0  # a busy machine needs a minute for two workers
# uvicorn's supervisor checks every half second that each worker answers. By default it kills one silent for 5 s,
# even while that one is still starting.
SLOW_START = """
import sys, time
if "spawn_main" in " ".join(sys.orig_argv) and "--multiprocessing-fork" in sys.orig_argv:
    time.sleep(7)
"""


@pytest.fixture
def running(spare: Place, tmp_path: Path):
    """Start the service, with workers that take long to start. Yields its address, its log and the process."""
    config, log = tmp_path / "recsys.toml", tmp_path / "log"
    config.write_text("\n".join(toml(spare.settings.model_dump(mode="json", exclude_unset=True))), encoding="utf-8")
    words = ["--workspace", spare.workspace.root, "--config", config, "serve", "--port", "0", "--workers", "2"]
    (tmp_path / "sitecustomize.py").write_text(SLOW_START, encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    settings = {"RECSYS_SERVE__BUDGET_MS": "20000", "RECSYS_SERVE__POLL_SECONDS": "0.1"}
    environment = os.environ | settings | {"PYTHONPATH": path, "PYTHONWARNINGS": "ignore"}
    with log.open("wb") as stderr:
        process = subprocess.Popen([sys.executable, "-m", "recsys", *map(str, words)], stderr=stderr, env=environment)
    try:
        until = time.monotonic() + SECONDS
        while not (url := answering(log)):
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        yield url, log, process
    finally:
        process.terminate()
        process.wait(SECONDS)


def lines(log: Path) -> list[dict]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def answering(log: Path) -> str | None:
    """Its address, once a worker is ready."""
    port = next((line["port"] for line in lines(log) if line["message"] == "starting"), None)
    try:
        return f"http://127.0.0.1:{port}" if port and httpx2.get(f"http://127.0.0.1:{port}/readyz").status_code == 200 else None
    except httpx2.ConnectError:
        return None


def bundles(url: str) -> set[str]:
    """Which bundles the workers answer from, each request over a new connection."""
    return {httpx2.get(f"{url}/readyz", timeout=SECONDS).json().get("bundle_id") for _ in range(20)}


def test_two_workers_answer_take_a_new_bundle_and_end_well(spare: Place, running) -> None:
    url, log, process = running
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
    assert "recsys_events_total 1.0" in httpx2.get(f"{url}/metrics", timeout=SECONDS).text

    new, until = publish(spare, 7.5), time.monotonic() + SECONDS
    while bundles(url) != {new}:
        assert time.monotonic() < until, log.read_text()
    process.send_signal(signal.SIGTERM)
    assert process.wait(SECONDS) == 0
    assert "user-01" not in log.read_text()
    assert {line["level"] for line in lines(log)} == {"info"}, log.read_text()
