"""Kills a publisher and a reader of a shared store at each named point and at random moments, over S3 and over a folder.

The store has the old or the new version in use, all of it; the reader has a bundle in use that is whole; and the next command needs no
help. The server is moto's, in this process.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.torture.kills import die_before
from benchmarks.torture.outcome import report, run
from benchmarks.torture.small import Small, child, count, ended, small, tried
from features.storage.remote.folder import FolderStore
from features.storage.remote.objects import ObjectStore
from features.storage.remote.store import open_store
from recsys.artifacts.bundle import Bundle, current_id
from recsys.artifacts.publish import publish
from recsys.remote.published import OBJECTS, PartName, StoreManifest
from recsys.remote.pull import pull
from recsys.remote.push import push
from recsys.workspace.workspace import Workspace
from tests.s3_server import CREDENTIALS, new_bucket, s3_server

if TYPE_CHECKING:
    from collections.abc import Callable

    from recsys.settings.settings import Settings

Point = tuple[Any, str]
PUBLISHING: tuple[Point, ...] = tuple((kind, name) for kind in (ObjectStore, FolderStore) for name in ("send", "swap", "remove"))
FETCHING: tuple[Point, ...] = (
    *((kind, "fetch") for kind in (ObjectStore, FolderStore)),
    *((os, name) for name in ("fsync", "link", "rename", "replace")),
    *((Path, "mkdir"), (shutil, "rmtree")),
)
POINTS = PUBLISHING + FETCHING


@dataclass(frozen=True)
class Machine:
    """A workspace and its settings."""

    workspace: Workspace
    settings: Settings

    def change(self, number: int) -> None:
        """Publish here the bundle in use once more, with another file in it."""
        bundle = Bundle.open(self.workspace.bundles)
        files = dict(bundle.files) | {f"extra/{number % 3}.txt": str(number).encode() * 10_000}
        publish(self.workspace.bundles, files, bundle.manifest.about, self.settings.bundles.keep)

    def push(self) -> None:
        """Publish into the store."""
        push(self.workspace, self.settings)

    def pull(self) -> None:
        """Fetch from the store."""
        pull(self.workspace, self.settings)

    @property
    def there(self) -> str | None:
        """The bundle that the store has in use."""
        found, _ = StoreManifest.read(open_store(self.settings.storage))
        return None if found is None else found.in_use(PartName.BUNDLES)


def _dying(work: Callable[[], None], point: int, call: int) -> None:
    die_before(*POINTS[point], call)
    work()


def killed(work: Callable[[], None], point: Point, call: int) -> bool:
    """Run in a process that dies before the n-th call of a function. Return whether it got that far."""
    return ended(child(_dying, work, POINTS.index(point), call)) == -signal.SIGKILL


def killed_sometime(work: Callable[[], None], moment: float) -> bool:
    """Run in a process that is killed after some seconds. Return whether it was still at work."""
    process = child(work)
    time.sleep(moment)
    process.kill()
    return ended(process) == -signal.SIGKILL


def publisher_recovers(publisher: Machine, reader: Machine, before: str | None) -> None:
    """Check the store after a publisher died, and that its next publishing finishes."""
    assert publisher.there in (before, current_id(publisher.workspace.bundles))
    reader.pull()
    assert current_id(reader.workspace.bundles) == publisher.there
    reader_is_whole(reader)
    publisher.push()
    assert publisher.there == current_id(publisher.workspace.bundles)
    reader.pull()
    reader_is_whole(reader)
    assert current_id(reader.workspace.bundles) == publisher.there


def reader_recovers(publisher: Machine, reader: Machine, before: str | None) -> None:
    """Check the workspace after a reader died, and that its next fetch finishes."""
    assert current_id(reader.workspace.bundles) in (before, publisher.there)
    reader_is_whole(reader)
    reader.pull()
    assert current_id(reader.workspace.bundles) == publisher.there
    reader_is_whole(reader)
    assert not (reader.workspace.cache / "pull").exists()


def reader_is_whole(reader: Machine) -> None:
    """Check every file of the bundle in use."""
    assert not Bundle.open(reader.workspace.bundles).verify()


def killings(publisher: Machine, reader: Machine, wanted: int, *, fetching: bool) -> int:
    """Kill at all named points, then at random moments, `wanted` times. Return the failures."""
    other = FolderStore if publisher.settings.storage.endpoint else ObjectStore
    named_points = [point for point in (FETCHING if fetching else PUBLISHING) if point[0] is not other]
    points = [(point, call) for call in (1, 2, 3, 5, 8) for point in named_points]
    runs, failures, number, rng = 0, 0, 0, random.Random(0)
    work = reader.pull if fetching else publisher.push
    while runs < wanted:
        number += 1
        publisher.change(number)
        before = current_id(reader.workspace.bundles) if fetching else publisher.there
        if fetching:
            publisher.push()
        point, call = points.pop(0) if points else ((None, "a random moment"), number)
        died = killed_sometime(work, rng.uniform(0, 1.0)) if point[0] is None else killed(work, point, call)
        if not died:
            continue  # it has fewer such calls, and completed
        runs += 1
        check = reader_recovers if fetching else publisher_recovers
        failures += not tried(f"killed at {point[1]} {call}", lambda: check(publisher, reader, before))  # noqa: B023
    named = StoreManifest.read(open_store(publisher.settings.storage))[0]
    if named is None or set(open_store(publisher.settings.storage).names(OBJECTS)) - set(named.objects):
        # One that died after CURRENT leaves objects until the next publishing.
        publisher.change(0)
        publisher.push()
        failures += not tried("objects that nothing names", lambda: _nothing_is_left(publisher))
    return failures


def _nothing_is_left(publisher: Machine) -> None:
    store = open_store(publisher.settings.storage)
    named, _ = StoreManifest.read(store)
    assert named is not None
    assert set(store.names(OBJECTS)) == set(named.objects)


def machines(shop: Small, folder: Path, storage: dict[str, str]) -> tuple[Machine, Machine]:
    """A publisher with a copy of the shop's workspace, and a reader that is in step with it."""
    settings = shop.settings.model_copy(update={"storage": type(shop.settings.storage).model_validate(storage)})
    shutil.copytree(shop.workspace.root, folder / "publisher")
    publisher, reader = Machine(Workspace(folder / "publisher"), settings), Machine(Workspace(folder / "reader"), settings)
    publisher.push()
    reader.pull()
    return publisher, reader


def main() -> None:
    """Print a line for each store and each of the two that are killed."""
    wanted = count(20, 100, "kills each of a publisher and a reader, over each of two stores")
    os.environ |= CREDENTIALS
    with ExitStack() as stack:
        shop, server = stack.enter_context(small()), stack.enter_context(s3_server())
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="torture-remote-")))
        new_bucket(server, "bucket")
        (root / "shared").mkdir()
        stores = {"s3": {"url": "s3://bucket/shop", "endpoint": server.endpoint}, "folder": {"url": str(root / "shared")}}
        for name, storage in stores.items():
            (root / name).mkdir()
            publisher, reader = machines(shop, root / name, storage)
            for fetching in (False, True):
                failures = killings(publisher, reader, wanted, fetching=fetching)
                report(f"kill_{'pull' if fetching else 'push'}_{name}", wanted, failures)


if __name__ == "__main__":
    run(main)
