"""Erasures that are killed, rollbacks by the clock, two refreshes at once, and a pickle in the place of every file."""

from __future__ import annotations

import io
import os
import random
import sys
import time
from typing import TYPE_CHECKING

import polars as pl

from benchmarks.torture.outcome import report, run
from benchmarks.torture.small import Small, child, ended, full, small, tried
from features.errors import RecsysError
from recsys import verbs
from recsys.bundle import check_all, current_id
from recsys.erasure import erase
from recsys.options import RecommendOptions
from recsys.publish import rollback

if TYPE_CHECKING:
    from pathlib import Path

# What runs `touch`, were it ever unpickled: spelt out, so that nothing here imports pickle.
PICKLE = b"cposix\nsystem\n(S'touch %s'\ntR."


def traces(root: Path, user: str) -> list[str]:
    """Files in whose content, unpacked, the id stands."""
    found = []
    for path in root.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".parquet":
                content = pl.read_parquet(io.BytesIO(content)).write_json().encode()
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
    return repr([answer.items for answer in verbs.open_recommender(shop.workspace).answer(RecommendOptions(), users)]).encode()


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
        for work in (lambda: verbs.open_recommender(shop.workspace), lambda: check_all(shop.workspace.bundles), shop.workspace.load):
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
        report("two_refreshes", runs, sum(not tried("race", lambda: raced(shop, 100 + number)) for number in range(runs)))  # noqa: B023
        users = [f"user-{number:02}" for number in range(55 if nightly else 20)]
        report("erasure", len(users), sum(not tried(user, lambda: erased(shop, user, chance.uniform(0, 0.5))) for user in users))  # noqa: B023


if __name__ == "__main__":
    run(main)
