"""The proxy in front of the service turns away what does not fit, answers health checks when full, and loses no request."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from benchmarks.torture.proxy import CONFIGURATION, PATIENCE, Proxy, free_port, installed, proxy

pytestmark = pytest.mark.skipif(not installed(), reason="haproxy is not installed")


class Server(ThreadingHTTPServer):
    """Stands for the service: a list is held until it is let go."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, port: int = 0) -> None:
        self.held, self.inside = threading.Event(), threading.Semaphore(0)
        self.seen: list[str] = []
        super().__init__(("127.0.0.1", port), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: Server = self.server  # pyright: ignore[reportAssignmentType]
        if self.path != "/readyz":
            server.seen.append(self.path)
        if self.path.startswith("/v1"):
            server.inside.release()
            server.held.wait(PATIENCE)
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def fronted(**environment: Any) -> Iterator[tuple[Server, Proxy, ThreadPoolExecutor]]:
    server = Server()
    try:
        with proxy(server.server_port, **environment) as front, ThreadPoolExecutor(8) as pool:
            yield server, front, pool
            server.held.set()
    finally:
        server.held.set()
        server.shutdown()
        server.server_close()


def get(front: Proxy, path: str) -> httpx2.Response:
    return httpx2.get(f"http://127.0.0.1:{front.port}{path}", timeout=PATIENCE)


def accepts(front: Proxy) -> bool:
    try:
        return get(front, "/healthz").status_code == 200
    except httpx2.ConnectError:
        return False


def metric(front: Proxy, name: str) -> float:
    """Return a value of the proxy's metrics; `name` has the labels."""
    page = httpx2.get(f"http://127.0.0.1:{front.metrics}/metrics").text
    (value,) = [line.split()[-1] for line in page.splitlines() if line.startswith(name)]
    return float(value)


def ask(front: Proxy, pool: ThreadPoolExecutor, number: int) -> list[Future[httpx2.Response]]:
    return [pool.submit(get, front, f"/v1/recommend/{one}") for one in range(number)]


def wait_until_waiting(front: Proxy, number: int) -> None:
    until = time.monotonic() + PATIENCE
    while metric(front, 'haproxy_server_current_queue{proxy="answers",server="service"}') != number:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_the_configuration_is_valid() -> None:
    checked = subprocess.run(["haproxy", "-c", "-f", CONFIGURATION], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    assert "WARNING" not in checked.stderr


def test_what_does_not_fit_is_turned_away_and_what_waits_is_answered() -> None:
    with fronted(RECSYS_INSIDE=2, RECSYS_WAITING=1) as (server, front, pool):
        asked = ask(front, pool, 3)
        assert all(server.inside.acquire(timeout=PATIENCE) for _ in range(2))
        wait_until_waiting(front, 1)
        response = get(front, "/v1/one-too-many")
        assert response.status_code == 429
        assert response.headers["retry-after"] == "1"
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json() == {"type": "about:blank", "title": "Too Many Requests", "status": 429, "detail": response.json()["detail"]}
        assert [get(front, path).status_code for path in ("/healthz", "/readyz", "/metrics")] == [200] * 3
        server.held.set()
        assert [future.result().status_code for future in asked] == [200] * 3
        assert get(front, "/v1/recommend").status_code == 200
        assert "/v1/one-too-many" not in server.seen
        assert metric(front, 'haproxy_backend_http_requests_total{proxy="turned_away"}') == 1


def test_without_a_server_the_problem_says_so_until_there_is_one() -> None:
    port = free_port()
    with proxy(port) as front:
        response = get(front, "/v1/recommend")
        assert response.status_code == 503
        assert response.headers["retry-after"] == "1"
        assert response.json()["title"] == "Service Unavailable"
        server = Server(port)
        server.held.set()
        until = time.monotonic() + PATIENCE
        while get(front, "/v1/recommend").status_code != 200:
            assert time.monotonic() < until
            time.sleep(0.1)
        server.shutdown()
        server.server_close()


def test_a_stop_lets_running_requests_end() -> None:
    with fronted() as (server, front, pool):
        (asked,) = ask(front, pool, 1)
        assert server.inside.acquire(timeout=PATIENCE)
        front.process.send_signal(signal.SIGUSR1)
        until = time.monotonic() + PATIENCE
        while accepts(front):
            assert time.monotonic() < until
        assert front.process.poll() is None
        server.held.set()
        assert asked.result().status_code == 200
        assert front.process.wait(PATIENCE) == 0


def test_requests_are_not_logged_as_their_paths_hold_ids(tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log, proxy(1, log) as front:
        assert get(front, "/v1/users/user-01").status_code == 503
        until = time.monotonic() + PATIENCE
        while "DOWN" not in (said := (tmp_path / "log").read_text()):
            assert time.monotonic() < until, said
            time.sleep(0.01)
    said = (tmp_path / "log").read_text()
    assert "Connect from" not in said
    assert "user-01" not in said
