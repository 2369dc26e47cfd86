"""Killed erasures, timed rollbacks, two concurrent refreshes with readers, and a pickle in place of every file."""

from __future__ import annotations

import io
import os
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import polars as pl

from benchmarks.torture.client import USERS
from benchmarks.torture.outcome import report, run
from benchmarks.torture.served import Line, Oracle
from benchmarks.torture.small import Small, child, ended, full, small, tried
from features.errors import RecsysError
from recsys.artifacts.bundle import current_id
from recsys.artifacts.check import check_all
from recsys.artifacts.publish import rollback
from recsys.privacy.erasure import erase
from recsys.recommend import open
from recsys.recommend.request import RecommendOptions

if TYPE_CHECKING:
    from pathlib import Path

READERS = 16
# It would run `touch` if it were unpickled. Written as bytes, so that nothing here imports pickle.
PICKLE = b"cposix\nsystem\n(S'touch %s'\ntR."


def traces(root: Path, user: str) -> list[str]:
    """Return the files whose unpacked content holds the id."""
    paths = []
    for path in root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".parquet":
                try:
                    content = pl.read_parquet(io.BytesIO(content)).write_json().encode()
                except pl.exceptions.ComputeError:  # its writer was killed, so it may hold anybody
                    content = user.encode()
            paths += [str(path)] if user.encode() in content else []
    return paths


def erased(shop: Small, user: str, seconds: float) -> None:
    """Erase in a process that is killed; the next refresh completes the erasure."""
    process = child(erase, shop.workspace, user)
    time.sleep(seconds)
    process.kill()
    ended(process)
    if not (shop.workspace.erased.is_file() and user not in str(traces(shop.workspace.root, user))):
        erase(shop.workspace, user)
    shop.refresh()
    erase(shop.workspace, user)  # the killed process did not report that it was done
    assert not traces(shop.workspace.root, user), traces(shop.workspace.root, user)
    assert not check_all(shop.workspace.bundles)[1]
    shop.whole()


def answers(shop: Small) -> bytes:
    """Return the answers of all users."""
    users = [f"user-{number:02}" for number in range(60)]
    return repr([answer.items for answer in open.open_recommender(shop.workspace).answer(RecommendOptions(), users)]).encode()


def rolled_back(shop: Small, number: int) -> None:
    """Check that a rollback takes less than a second and gives the same answers as before."""
    before = answers(shop)
    shop.change(number)
    shop.refresh()
    begun = time.perf_counter()
    rollback(shop.workspace.bundles)
    assert time.perf_counter() - begun < 1
    assert answers(shop) == before


def raced(shop: Small, number: int) -> None:
    """Check that of two concurrent refreshes one publishes and the other is refused."""
    shop.change(number)
    start = time.time() + 1
    before, processes = current_id(shop.workspace.bundles), [child(_racing, shop, start) for _ in range(2)]
    codes = sorted(ended(process) for process in processes)
    assert codes == [0, 3], codes
    assert shop.whole() != before


def _racing(shop: Small, start: float) -> None:
    time.sleep(max(0.0, start - time.time()))
    try:
        shop.refresh()
    except RecsysError as error:
        assert "another refresh" in str(error), error
        os._exit(3)


@dataclass
class Readers:
    """Threads that open the bundle in use and request answers until the end, when the answers are checked."""

    shop: Small
    oracle: Oracle
    lines: list[Line] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def read(self) -> None:
        """Request answers until the races are over."""
        while not self.over.is_set():
            recommender = open.open_recommender(self.shop.workspace)
            for user in self.oracle.users:
                (answer,) = recommender.answer(RecommendOptions(), [user])
                items = [[item.item_id, item.probability] for item in answer.items]
                self.lines.append({"status": 200, "degraded": False, "bundle": recommender.bundle_id, "user": user, "items": items})

    def race(self, runs: int) -> int:
        """Run races of two refreshes. Return the failures, including wrong answers and failed threads."""
        failures = 0
        with ThreadPoolExecutor(READERS) as pool:
            threads = [pool.submit(self.read) for _ in range(READERS)]
            for number in range(runs):
                failures += not tried("race", lambda: raced(self.shop, 100 + number))  # noqa: B023
                self.oracle.learn()
            self.over.set()
            failures += sum(not tried("reading", thread.result) for thread in threads)
        return failures + len(self.oracle.wrong(self.lines))


def planted(shop: Small, path: Path, witness: Path) -> None:
    """Check that a pickle in place of a file is refused, and that nothing is executed or connected to."""
    content = path.read_bytes()
    path.write_bytes(PICKLE % str(witness).encode())
    events: list[str] = []
    watch = events.append
    sys.addaudithook(
        lambda event, _: watch(event) if event in ("pickle.find_class", "os.system", "subprocess.Popen", "socket.connect") else None
    )
    try:
        for work in (lambda: open.open_recommender(shop.workspace), lambda: check_all(shop.workspace.bundles), shop.workspace.load):
            try:
                work()
            except RecsysError as error:
                assert "\n" not in str(error), error
    finally:
        path.write_bytes(content)
    assert not events, events
    assert not witness.exists()


def main() -> None:
    """Print one line for each test."""
    nightly, rng = full("200 pairs of refreshes in place of 10, 55 erasures in place of 20"), random.Random(0)
    with small() as shop:
        paths = sorted(path for folder in ("bundles", "data") for path in (shop.workspace.root / folder).rglob("*") if path.is_file())
        bad = sum(not tried(str(path), lambda: planted(shop, path, shop.folder / "witness")) for path in paths if path.name != ".lock")  # noqa: B023
        report("pickles", len(paths), bad)
        runs = 20
        report("rollback", runs, sum(not tried("rollback", lambda: rolled_back(shop, number)) for number in range(runs)))  # noqa: B023
        runs = 200 if nightly else 10
        readers = Readers(shop, Oracle(shop, USERS[:3]))
        readers.oracle.learn()
        report("two_refreshes", runs, readers.race(runs), readers=READERS, answers=len(readers.lines))
        users = [f"user-{number:02}" for number in range(55 if nightly else 20)]
        report("erasure", len(users), sum(not tried(user, lambda: erased(shop, user, rng.uniform(0, 0.5))) for user in users))  # noqa: B023


if __name__ == "__main__":
    run(main)
