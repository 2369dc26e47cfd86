"""What a refused request costs the service's process, against an application that only answers 429."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn

from benchmarks.paired import say
from recsys.service.admission import Admission
from recsys.settings.serve import ServeConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

PAIRS, SECONDS = 5, 2.0
HEAD = {"type": "http.response.start", "status": 429, "headers": [(b"content-length", b"0")]}


async def empty(_scope: Any, _receive: Any, send: Any) -> None:
    """Answer 429 without a body."""
    await send(HEAD)
    await send({"type": "http.response.body", "body": b""})


class Full(Admission):
    """An admission whose queue is full."""

    def __init__(self) -> None:
        super().__init__(empty, ServeConfig())
        self._running = self._config.queue

    def _rest(self) -> None:
        """Refuse at once: rests take no processor time."""


@contextlib.contextmanager
def listening(app: Any) -> Iterator[int]:
    """Serve an application from a thread of this process; yield its port."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, access_log=False, server_header=False, lifespan="off"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def microseconds(port: int, folder: Path) -> float:
    """Return the processor time of this process for one request."""
    out = folder / "lines"
    begun = time.process_time()
    subprocess.run([sys.executable, "-m", "benchmarks.torture.client", str(port), str(SECONDS), "--out", out], check=True)
    spent = time.process_time() - begun
    lines = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    assert {line["status"] for line in lines} == {429}
    return 1e6 * spent / len(lines)


def main() -> None:
    """Measure both in turn."""
    with listening(empty) as bare, listening(Full()) as full, tempfile.TemporaryDirectory() as folder:
        pairs = [(microseconds(bare, Path(folder)), microseconds(full, Path(folder))) for _ in range(PAIRS)]
    first, second = (sorted(side)[PAIRS // 2] for side in zip(*pairs, strict=True))
    say("refusal", [full / bare for bare, full in pairs], None, None, empty_us=round(first, 1), refused_us=round(second, 1))


if __name__ == "__main__":
    main()
