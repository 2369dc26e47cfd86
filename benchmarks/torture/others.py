"""Erasures that are killed, rollbacks by the clock, two refreshes at once among readers, and a pickle in the place of every file."""

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
from recsys.artifacts.bundle import check_all, current_id
from recsys.artifacts.publish import rollback
from recsys.privacy.erasure import erase
from recsys.recommend import open
from recsys.recommend.request import RecommendOptions

if TYPE_CHECKING:
    from pathlib import Path

READERS = 16
# What runs `touch`, were it ever unpickled: spelt out, so that nothing here imports pickle.
PICKLE = b"cposix\nsystem\n(S'touch %s'\ntR."


def traces(root: Path, user: str) -> list[str]:
    """Files in whose content, unpacked, the id stands."""
    found = []
    for path in root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".parquet":
                try:
                    content = pl.read_parquet(io.BytesIO(content)).write_json().encode()
                except pl.exceptions.ComputeError:  # a writer was killed in the middle of it: nobody can say whom it holds
                    content = user.encode()
            found += [str(path)] if user.encode() in content else []
    return found


def erased(shop: Small, user: str, seconds: float) -> None:
    """Erase in a process that is killed; the next refresh ends it."""
    process = child(erase, shop.workspace, user)
    time.sleep(seconds)
    process.kill()
    ended(process)
    if not (shop.workspace.erased.is_file() and user not in str(traces(shop.workspace.root, user))):
        erase(shop.workspace, user)
    shop.refresh()
    erase(shop.workspace, user)  # nobody was told that the first had ended
    assert not traces(shop.workspace.root, user), traces(shop.workspace.root, user)
    assert not check_all(shop.workspace.bundles)[1]
    shop.whole()


def answers(shop: Small) -> bytes:
    users = [f"user-{number:02}" for number in range(60)]
    return repr([answer.items for answer in open.open_recommender(shop.workspace).answer(RecommendOptions(), users)]).encode()


def gone_back(shop: Small, number: int) -> None:
    """Within a second, to the very same answers."""
    before = answers(shop)
    shop.change(number)
    shop.refresh()
    begun = time.perf_counter()
    rollback(shop.workspace.bundles)
    assert time.perf_counter() - begun < 1
    assert answers(shop) == before


def raced(shop: Small, number: int) -> None:
    """Two at once: one publishes, the other is turned away."""
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
    """Threads that open what is in use and ask it, again and again, until the end; what they were answered is judged then."""

    shop: Small
    oracle: Oracle
    lines: list[Line] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def read(self) -> None:
        while not self.over.is_set():
            recommender = open.open_recommender(self.shop.workspace)
            for user in self.oracle.users:
                (answer,) = recommender.answer(RecommendOptions(user), [user])
                items = [[item.item_id, item.probability] for item in answer.items]
                self.lines.append({"status": 200, "degraded": False, "bundle": recommender.bundle_id, "user": user, "items": items})

    def race(self, runs: int) -> int:
        """So many races of two refreshes. How many went wrong, those of the readers' answers and threads included."""
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
    """A pickle in its place is refused unread, with nothing run and nobody called."""
    kept = path.read_bytes()
    path.write_bytes(PICKLE % str(witness).encode())
    seen: list[str] = []
    watch = seen.append
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
        path.write_bytes(kept)
    assert not seen, seen
    assert not witness.exists()


def main() -> None:
    """One line each."""
    nightly, chance = full(), random.Random(0)
    with small() as shop:
        paths = sorted(path for folder in ("bundles", "data") for path in (shop.workspace.root / folder).rglob("*") if path.is_file())
        bad = sum(not tried(str(path), lambda: planted(shop, path, shop.folder / "witness")) for path in paths if path.name != ".lock")  # noqa: B023
        report("pickles", len(paths), bad)
        runs = 20
        report("rollback", runs, sum(not tried("rollback", lambda: gone_back(shop, number)) for number in range(runs)))  # noqa: B023
        runs = 200 if nightly else 10
        readers = Readers(shop, Oracle(shop, USERS[:3]))
        readers.oracle.learn()
        report("two_refreshes", runs, readers.race(runs), readers=READERS, answers=len(readers.lines))
        users = [f"user-{number:02}" for number in range(55 if nightly else 20)]
        report("erasure", len(users), sum(not tried(user, lambda: erased(shop, user, chance.uniform(0, 0.5))) for user in users))  # noqa: B023


if __name__ == "__main__":
    run(main)
