"""Damages every file of a bundle, and CURRENT: each is refused in one line, and a rollback restores answers.

Damage of a file that two bundles share is told of both.
"""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

from benchmarks.torture.outcome import report, run
from benchmarks.torture.small import Small, count, small, tried
from features.errors import BundleError
from recsys.artifacts.bundle import CURRENT, current_id
from recsys.artifacts.check import check_all
from recsys.artifacts.publish import rollback
from recsys.recommend import open

if TYPE_CHECKING:
    from pathlib import Path

WAYS = ("flip", "zero", "cut", "extend", "swap")


def damage(path: Path, way: str, other: Path, rng: random.Random) -> bool:
    """Damage a file, but none that shares its bytes; return False if it stays as it is."""
    content = bytearray(path.read_bytes())
    before = bytes(content)
    place = rng.randrange(max(len(content), 1))
    if way == "flip" and content:
        content[place] ^= 1 << rng.randrange(8)
    elif way == "zero":
        content[place : place + 64] = bytes(len(content[place : place + 64]))
    elif way == "cut":
        del content[place:]
    elif way == "extend":
        content += rng.randbytes(9)
    elif way == "swap" and other.is_file():
        content = bytearray(other.read_bytes())
    replace(path, content)
    return bytes(content) != before


def replace(path: Path, content: bytes | bytearray) -> None:
    """Put another file in the place of one that bundles may share."""
    path.unlink()
    path.write_bytes(content)


def told_of_both(shop: Small, path: Path, ids: tuple[str, str]) -> None:
    """Damage a file that two bundles share, and check that verify names both."""
    content = path.read_bytes()
    try:
        path.write_bytes(bytes([content[0] ^ 1]) + content[1:])
        problems = check_all(shop.workspace.bundles)[1]
        assert all(any(bundle_id in problem for problem in problems) for bundle_id in ids), problems
    finally:
        path.write_bytes(content)


def refused(shop: Small) -> None:
    """Check that verify reports the damage, and that opening refuses it or does not read it."""
    problems = check_all(shop.workspace.bundles)[1]
    assert problems, "verify reported nothing"
    assert all("\n" not in problem for problem in problems)
    try:
        open.open_recommender(shop.workspace)
    except BundleError as error:
        assert "\n" not in str(error)


def main() -> None:
    """Damage files in turn, each in all ways; then CURRENT."""
    wanted, runs, failures, rng = count(500, 5_000, "damaged files"), 0, 0, random.Random(0)
    with small() as shop:
        old = current_id(shop.workspace.bundles)
        shop.change(1)
        shop.refresh()
        new = current_id(shop.workspace.bundles)
        bundles = shop.workspace.bundles
        names = sorted(str(path.relative_to(bundles / new)) for path in (bundles / new).rglob("*") if path.is_file())
        for path in sorted(
            path for path in (bundles / new).rglob("*") if path.is_file() and path.stat().st_nlink > 1 and path.stat().st_size
        ):
            runs += 1
            failures += not tried(f"shared {path.name}", lambda: told_of_both(shop, path, (old, new)))  # noqa: B023
        wanted += runs
        for number in range(100 * wanted):
            if runs == wanted:
                break
            path, way = bundles / new / names[number % len(names)], WAYS[number // len(names) % len(WAYS)]
            content = path.read_bytes()
            if damage(path, way, bundles / old / path.relative_to(bundles / new), rng):
                runs += 1
                failures += not tried(f"{way} {path.name}", lambda: refused(shop))
                if runs % 50 == 0:
                    failures += not tried("rollback", lambda: rolled_back(shop, old, new))
            replace(path, content)
        for stale in (b"", b"\0" * 40, b"20200101T000000000000Z-000000000000\n", new.encode()[:-1], b"../" + new.encode()):
            (bundles / CURRENT).write_bytes(stale)
            runs += 1
            failures += not tried(f"CURRENT {stale!r}", lambda: rolled_back(shop, new, new))
        shutil.rmtree(bundles / new)
        failures += not tried("CURRENT names a missing bundle", lambda: rolled_back(shop, old, new))
    report("damage", runs + 1, failures)


def rolled_back(shop: Small, expected: str, new: str) -> None:
    """Check that a rollback finds an intact bundle, which answers."""
    assert rollback(shop.workspace.bundles) == expected
    open.open_recommender(shop.workspace)
    (shop.workspace.bundles / CURRENT).write_text(f"{new}\n")


if __name__ == "__main__":
    run(main)
