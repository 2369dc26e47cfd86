"""Clients of the service in a separate process: `python -m benchmarks.torture.client PORT SECONDS --out FILE`.

Clients use plain sockets and little Python, because costly clients would measure themselves. The program writes a line
of JSON for each request: when it was sent (seconds since the epoch), milliseconds, status (0: no answer), user, bundle,
degraded, items with probabilities.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

USERS = [f"user-{number:02}" for number in range(60)]
HEAD = b"POST /v1/recommend HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
PATIENCE = 30.0  # seconds for an answer


class Client:
    """One persistent connection, opened again after an error."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._streams: tuple[StreamReader, StreamWriter] | None = None

    async def ask(self, user: str, body: bytes) -> dict[str, Any]:
        """Send one request, and return its line for the file."""
        begun, line = time.time(), {"status": 0, "user": user}
        try:
            async with asyncio.timeout(PATIENCE):
                status, content = await self._exchange(body)
            line["status"] = status
            if status == 200:
                answer = json.loads(content)
                line |= {"bundle": answer["bundle_id"], "degraded": answer["degraded"]}
                line["items"] = [[item["item_id"], item["probability"]] for item in answer["items"]]
        except (OSError, asyncio.IncompleteReadError, TimeoutError) as error:
            line["error"] = repr(error)
            self._streams = None
        return {"at": begun, "ms": 1000 * (time.time() - begun)} | line

    async def _exchange(self, body: bytes) -> tuple[int, bytes]:
        if self._streams is None:
            self._streams = await asyncio.open_connection("127.0.0.1", self._port)
        reader, writer = self._streams
        writer.write(HEAD % len(body) + body)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0])
        content = await reader.readexactly(length)
        if b"\r\nconnection: close\r\n" in head:
            writer.close()
            self._streams = None
        return int(head[9:12]), content


async def run(given: argparse.Namespace, lines: list[dict[str, Any]]) -> None:
    """Send requests until the time is over, `most` requests are sent, or SIGTERM arrives.

    With a rate, requests are sent at that rate, over as many connections as needed, even before earlier answers arrive.
    Without one, each client sends its next request after its answer.
    """
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    idle = [Client(given.port) for _ in range(given.clients)]
    users = USERS if given.users is None else json.loads(given.users.read_text(encoding="utf-8"))
    bodies = [(user, json.dumps({"user": user, "k": 10}).encode()) for user in users]
    begun, number, under_way = time.perf_counter(), 0, set()

    def over() -> bool:
        return stop.is_set() or number >= given.most or time.perf_counter() - begun >= given.seconds

    async def one(client: Client) -> None:
        nonlocal number
        number += 1
        lines.append(await client.ask(*bodies[number % len(bodies)]))
        idle.append(client)

    async def closed(client: Client) -> None:
        while not over():
            await one(client)

    if not given.rate:
        await asyncio.gather(*(closed(client) for client in list(idle)))
        return
    while not over():
        while number < (time.perf_counter() - begun) * given.rate and not over():
            task = asyncio.create_task(one(idle.pop(0) if idle else Client(given.port)))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)
    await asyncio.gather(*under_way)


def main() -> None:
    """Run the clients, and write their lines."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("seconds", type=float)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--rate", type=float, default=0)
    parser.add_argument("--users", type=Path, help="a JSON list of users instead of the small shop's")
    parser.add_argument("--most", type=int, default=10**9)
    parser.add_argument("--out", type=Path, required=True)
    given, lines = parser.parse_args(), []
    asyncio.run(run(given, lines))
    given.out.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    main()
