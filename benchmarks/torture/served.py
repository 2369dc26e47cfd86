"""A service over a small shop in a separate process, and its use of memory, files and threads."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from recsys.artifacts.bundle import CURRENT, current_id, list_bundles
from recsys.recommend import open
from recsys.recommend.request import RecommendOptions
from tests.recsys.calls import toml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from benchmarks.torture.small import Small

Line = dict[str, Any]
LOG = "service.log"  # in the shop's folder
PATIENCE = 120.0  # seconds until the service answers


@dataclass
class Load:
    """Running clients, and the lines of their requests once they have ended."""

    process: subprocess.Popen[bytes]
    lines: list[Line] = field(default_factory=list)

    def stop(self) -> None:
        """End the clients."""
        self.process.terminate()


@dataclass
class Served:
    """A running service."""

    port: int
    process: subprocess.Popen[bytes]
    folder: Path

    def get(self, path: str) -> Any:
        """Return the JSON of a path; None if there is no answer."""
        try:
            return self._request(path)
        except OSError:
            return None

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Post a body, and return the JSON of the answer.

        Raises
        ------
        OSError or HTTPException: there is no answer.
        """
        return self._request(path, json.dumps(body).encode())

    def _request(self, path: str, body: bytes | None = None) -> Any:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", body, {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return json.load(response)

    @property
    def bundle(self) -> str | None:
        """The bundle that the service answers from."""
        return (self.get("/readyz") or {}).get("bundle_id")

    def wait(self, bundle_id: str | None = None) -> None:
        """Wait until the service answers, from that bundle if one is named.

        Raises
        ------
        TimeoutError: it does not.
        """
        until = time.monotonic() + PATIENCE
        while (now := self.bundle) is None or bundle_id not in (None, now):
            if time.monotonic() > until or self.process.poll() is not None:
                ended = self.process.poll() is not None
                why = self.complaints or ("it has ended" if ended else f"its log has no error after {PATIENCE:.0f} seconds")
                raise TimeoutError(f"the service answers from {now or 'no bundle'}, not from {bundle_id or 'any'}: {why}")
            time.sleep(0.02)

    @property
    def complaints(self) -> str:
        """The last warnings and errors of its log."""
        lines = [json.loads(line) for line in (self.folder / LOG).read_text(encoding="utf-8").splitlines() if line.startswith("{")]
        return "; ".join(line["message"] for line in lines if line["level"] in ("warning", "error"))[-1_000:]

    def resources(self) -> dict[str, float]:
        """Return MiB of memory, open files without connections, and threads of all its processes."""
        total = {"mib": 0.0, "handles": 0.0, "threads": 0.0}
        for about in self._processes():
            total["mib"] += about.memory_full_info().uss / 2**20
            total["handles"] += about.num_fds() - len(about.net_connections())
            total["threads"] += about.num_threads()
        return total

    @property
    def cpu_seconds(self) -> float:
        """Processor seconds that its processes have taken until now."""
        return sum(sum(about.cpu_times()[:2]) for about in self._processes())

    def kill(self) -> None:
        """End all its processes at once, as a loss of power does."""
        for about in self._processes():
            about.kill()

    def _processes(self) -> list[psutil.Process]:
        supervisor = psutil.Process(self.process.pid)
        return [supervisor, *supervisor.children(recursive=True)]

    def capacity(self, seconds: float = 5) -> float:
        """Return answers a second with four clients, each of which waits for its answer."""
        with self.load(seconds, clients=4) as load:
            pass
        return sum(line["status"] == 200 for line in load.lines) / seconds

    @contextlib.contextmanager
    def load(self, seconds: float, **options: object) -> Iterator[Load]:
        """Run `benchmarks.torture.client` in a separate process; the requests are in `lines` afterwards."""
        out = self.folder / f"load-{time.monotonic_ns()}.jsonl"
        words = [str(self.port), str(seconds), "--out", str(out), *(f"--{name}={value}" for name, value in options.items())]
        process = subprocess.Popen([sys.executable, "-m", "benchmarks.torture.client", *words])
        load = Load(process)
        try:
            yield load
            process.wait(seconds + PATIENCE)
        finally:
            process.kill()
            process.wait()
        load.lines += [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
        out.unlink()


@contextlib.contextmanager
def served(shop: Small, program: Sequence[str] = ("-m", "recsys"), **serve: object) -> Iterator[Served]:
    """Run `recsys serve` over a shop; its log is the file `LOG` in the shop's folder.

    Parameters
    ----------
    program : sequence of str
        Arguments of Python that start the service.
    serve : object
        Settings of [serve].
    """
    config = shop.folder / "recsys.toml"
    table = shop.settings.model_dump(mode="json", exclude_unset=True) | {"serve": {"poll_seconds": 0.05} | serve}
    config.write_text("\n".join(toml(table)), encoding="utf-8")
    words = ["--workspace", str(shop.workspace.root), "--config", str(config), "serve", "--port", "0"]
    log = shop.folder / LOG
    with log.open("wb") as stderr:
        process = subprocess.Popen([sys.executable, *program, *words], stderr=stderr, env=os.environ | {"OMP_NUM_THREADS": "1"})
    try:
        until = time.monotonic() + PATIENCE
        while not (head := log.read_text(encoding="utf-8").partition("\n")[0]) or "port" not in json.loads(head):
            if time.monotonic() > until or process.poll() is not None:
                raise TimeoutError(f"the service did not start: {log.read_text(encoding='utf-8')}")
            time.sleep(0.05)
        service = Served(json.loads(head)["port"], process, shop.folder)
        service.wait()
        yield service
    finally:
        process.terminate()
        process.wait(PATIENCE)


@dataclass
class Oracle:
    """The expected answers of each bundle, computed by a single thread."""

    shop: Small
    users: Sequence[str]
    answers: dict[str, dict[str, list[list[Any]]]] = field(default_factory=dict)

    def learn(self) -> None:
        """Compute the answers of every new bundle."""
        for bundle_id in list_bundles(self.shop.workspace.bundles):
            if bundle_id not in self.answers:
                recommender = open.open_recommender(self.shop.workspace, bundle_id)
                self.answers[bundle_id] = {
                    str(answer.user_id): [[item.item_id, item.probability] for item in answer.items]
                    for user in self.users
                    for answer in recommender.answer(RecommendOptions(), [user])
                }

    def wrong(self, lines: Sequence[Line]) -> list[Line]:
        """Return the requests that failed, were degraded, or whose answer differs from that of their bundle."""
        return [
            line
            for line in lines
            if line["status"] != 200 or line["degraded"] or self.answers[line["bundle"]][line["user"]] != line["items"]
        ]


def percentile(lines: Sequence[Mapping[str, Any]], share: float) -> float:
    """Return a percentile of latency in milliseconds; `share` is 0 to 100."""
    return float(np.percentile([line["ms"] for line in lines], share)) if lines else float("nan")


def p99(lines: Sequence[Mapping[str, Any]]) -> float:
    """Return the 99th percentile of latency in milliseconds."""
    return percentile(lines, 99)


def two_bundles(shop: Small, users: Sequence[str]) -> tuple[tuple[str, str], Oracle]:
    """Return the ids of a bundle and of its successor, and the answers of both."""
    first = current_id(shop.workspace.bundles)
    shop.change(1)
    shop.refresh()
    oracle = Oracle(shop, users)
    oracle.learn()
    return (first, current_id(shop.workspace.bundles)), oracle


def use(shop: Small, bundle_id: str) -> None:
    """Put a bundle into use, as publishing and rollback do."""
    path = shop.workspace.bundles / CURRENT
    path.with_suffix(".new").write_text(f"{bundle_id}\n", encoding="ascii")
    path.with_suffix(".new").replace(path)
