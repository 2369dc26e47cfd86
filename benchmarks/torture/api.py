"""The API asked by schemathesis, from its own documentation, and by raw bytes: never a 5xx, and it goes on answering."""

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
from benchmarks.torture.small import full, small, tried

BODY = b'{"user": "user-01", "history": ["sku-07"], "k": 5, "rules": {"max_price": 3.5}, "diversity": 0.5}'
WHOLE = HEAD.removesuffix(b"\r\n") + b"connection: close\r\n\r\n%s"
WITH_BODIES = 5  # routes that there is more than one way to ask
SECONDS = 15.0  # for an answer to bytes; a body that ends too soon is given up after ten


def documented(service: Served, examples: int) -> tuple[int, int]:
    """What the documentation allows, and some of what it does not. Runs and failures."""
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
        def asks(case: schemathesis.Case) -> None:
            nonlocal runs, failures
            runs += 1
            failures += not tried(str(case.operation.path), lambda: case.call_and_validate(checks=[not_a_server_error], timeout=60))

        asks()
    return runs, failures


def spoilt(chance: random.Random) -> bytes:
    """A good request with something wrong in it, or noise."""
    way = chance.randrange(5)
    if way == 0:
        return chance.randbytes(chance.randrange(1, 400))
    content = bytearray(WHOLE % (len(BODY), BODY))
    if way == 1:  # the body's bytes
        for _ in range(chance.randrange(1, 5)):
            content[chance.randrange(len(content) - len(BODY), len(content))] = chance.randrange(256)
    elif way == 2:  # any byte
        content[chance.randrange(len(content))] = chance.randrange(256)
    elif way == 3:  # something more
        place = chance.randrange(len(content))
        content[place:place] = chance.randbytes(chance.randrange(1, 40))
    else:  # another length than it says
        return WHOLE % (chance.choice((0, 1, len(BODY) - 1, 10**12)), BODY)
    return bytes(content)


def raw(service: Served, content: bytes) -> None:
    """Send bytes and end. What comes back, if anything, is no 5xx. Raises AssertionError."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=SECONDS) as connection:
        connection.sendall(content)
        connection.shutdown(socket.SHUT_WR)
        try:
            answer = connection.recv(64)
        except ConnectionResetError:
            return
    assert not answer.startswith(b"HTTP/1.1 5"), (answer, content)


def main() -> None:
    """Half by schemathesis, half raw."""
    wanted, chance = (25_000 if full() else 1_000) // 2, random.Random(0)
    with small(trained=True) as shop, served(shop, rate_per_minute=0, budget_ms=5_000) as service:
        runs, failures = documented(service, wanted)
        report("api_schemathesis", runs, failures)
        failures = sum(not tried("raw bytes", lambda: raw(service, spoilt(chance))) for _ in range(wanted))
        alive = service.bundle is not None and service.process.poll() is None
        told = "Traceback" in (shop.folder / "service.log").read_text(encoding="utf-8")
        if not alive or told:
            print(f"alive: {alive}, tracebacks in the log: {told}", file=sys.stderr)
        report("api_raw_bytes", wanted, failures + (not alive) + told)


if __name__ == "__main__":
    run(main)
