"""Fuzzes the API by schemathesis and by raw bytes: no response is a 5xx, and the service stays up."""

from __future__ import annotations

import random
import socket
import sys
from typing import Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error

from benchmarks.torture.client import HEAD
from benchmarks.torture.outcome import report, run
from benchmarks.torture.served import Served, served
from benchmarks.torture.small import count, small, tried

BODY = b'{"user": "user-01", "history": ["sku-07"], "k": 5, "rules": {"max_price": 3.5}, "diversity": 0.5}'
WHOLE = HEAD.removesuffix(b"\r\n") + b"connection: close\r\n\r\n%s"
WITH_BODIES = 5  # routes that take a body
SECONDS = 15.0  # for a response to raw bytes; the service gives up on a short body after ten


def documented(service: Served, examples: int) -> tuple[int, int]:
    """Send requests that the document allows, and some that it does not. Return runs and failures."""
    runs = failures = 0
    url = f"http://127.0.0.1:{service.port}"
    schema: Any = schemathesis.openapi.from_url(f"{url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    for operation in operations:
        slow = (HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large)

        @settings(
            max_examples=examples // WITH_BODIES,
            derandomize=True,
            database=None,
            suppress_health_check=slow,
            phases=[Phase.explicit, Phase.generate],
            deadline=None,
        )
        @given(case=operation.as_strategy())
        def send(case: schemathesis.Case) -> None:
            nonlocal runs, failures
            runs += 1
            failures += not tried(str(case.operation.path), lambda: case.call_and_validate(checks=[not_a_server_error], timeout=60))

        send()
    return runs, failures


def corrupted(rng: random.Random) -> bytes:
    """Return a valid request with a fault, or noise."""
    fault = rng.randrange(5)
    if fault == 0:
        return rng.randbytes(rng.randrange(1, 400))
    content = bytearray(WHOLE % (len(BODY), BODY))
    if fault == 1:  # bytes of the body
        for _ in range(rng.randrange(1, 5)):
            content[rng.randrange(len(content) - len(BODY), len(content))] = rng.randrange(256)
    elif fault == 2:  # any byte
        content[rng.randrange(len(content))] = rng.randrange(256)
    elif fault == 3:  # inserted bytes
        place = rng.randrange(len(content))
        content[place:place] = rng.randbytes(rng.randrange(1, 40))
    else:  # a wrong content length
        return WHOLE % (rng.choice((0, 1, len(BODY) - 1, 10**12)), BODY)
    return bytes(content)


def raw(service: Served, content: bytes) -> None:
    """Send bytes and close.

    Raises
    ------
    AssertionError: the response is a 5xx.
    """
    with socket.create_connection(("127.0.0.1", service.port), timeout=SECONDS) as connection:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        try:
            response = connection.recv(64)
        except ConnectionResetError:
            return
    assert not response.startswith(b"HTTP/1.1 5"), (response, content)


def main() -> None:
    """Print two lines: one half of the requests is by schemathesis, the other raw bytes."""
    wanted, rng = count(1_000, 25_000, "requests") // 2, random.Random(0)
    with small(trained=True) as shop, served(shop, rate_per_minute=0, budget_ms=5_000) as service:
        runs, failures = documented(service, wanted)
        report("api_schemathesis", runs, failures)
        failures = sum(not tried("raw bytes", lambda: raw(service, corrupted(rng))) for _ in range(wanted))
        alive = service.bundle is not None and service.process.poll() is None
        traceback = "Traceback" in (shop.folder / "service.log").read_text(encoding="utf-8")
        if not alive or traceback:
            print(f"alive: {alive}, tracebacks in the log: {traceback}", file=sys.stderr)
        report("api_raw_bytes", wanted, failures + (not alive) + traceback)


if __name__ == "__main__":
    run(main)
