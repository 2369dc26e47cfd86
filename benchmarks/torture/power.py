"""Simulates power loss while a bundle or a version of the tables is published.

The states are every prefix of the writes, without what no fsync has made durable. Of names that no fsync of their
folder covers, none, all or any single one may be on the disk; bytes that were not synced are lost. Each state must hold
the old or the new version, and a publish that returned must leave the new one. Then each fsync is left out in turn,
which the test must detect.
"""

from __future__ import annotations

import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from benchmarks.torture.outcome import report, run
from features.errors import BundleError, DataError
from features.ingest import table_versions
from features.storage import atomic
from recsys.artifacts.bundle import Bundle
from recsys.artifacts.publish import publish
from recsys.artifacts.sharing import writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@dataclass(frozen=True)
class Step:
    """A change of the disk: write, link, mkdir, rename or sync. Paths are relative to the folder published into.

    A link is a write of bytes that are on the disk already.
    """

    kind: str
    path: str
    to: str = ""
    content: bytes = b""


@dataclass
class Disk:
    """The content of the disk after the power returns. `files` maps a path to its bytes, or to None for a folder."""

    files: dict[str, bytes | None] = field(default_factory=dict)

    def rename(self, old: str, new: str) -> None:
        """Rename a file or folder."""
        for path in [path for path in self.files if path == old or path.startswith(old + "/")]:
            self.files[new + path[len(old) :]] = self.files.pop(path)

    def write_to(self, folder: Path) -> None:
        """Write the content below a folder."""
        for path, content in sorted(self.files.items()):
            place = folder / path
            if content is None:
                place.mkdir(parents=True, exist_ok=True)
            elif place.parent.is_dir():
                place.write_bytes(content)


@dataclass(frozen=True)
class Kind:
    """A kind of publication.

    Attributes
    ----------
    publish : callable
        Publish some bytes into a folder; returns the version's name.
    found : callable
        The name of the version that a reader opens, or what is wrong.
    """

    name: str
    publish: Callable[[Path, bytes], str]
    found: Callable[[Path], str]


LOG = bytes(range(256)) * 130  # large enough to be assembled from parts


def publish_bundle(bundles: Path, text: bytes) -> str:
    """Publish a bundle."""
    return publish(bundles, {"tower/weights": b"1" * 99, "text": text, "log": LOG + text + LOG[::-1]}, {}, 9)


def found_bundle(bundles: Path) -> str:
    """Return the id of the bundle in use, or what is wrong."""
    try:
        bundle = Bundle.open(bundles)
        return "damaged" if bundle.verify() else bundle.id
    except BundleError as error:
        return str(error)


def publish_tables(out: Path, text: bytes) -> str:
    """Publish a version of the tables."""
    with table_versions.writing(out) as folder:
        new = folder / "out"
        new.mkdir()
        for name in FILES:
            (new / name).write_bytes(text)
        return table_versions.publish(new, out).name


def found_tables(out: Path) -> str:
    """Return the name of the tables in use, or what is wrong."""
    try:
        folder = table_versions.in_use(out)
        return folder.name if {(folder / name).read_bytes() for name in FILES} in ({b"old"}, {b"new"}) else "damaged"
    except (DataError, OSError) as error:
        return str(error)


FILES = (table_versions.ITEMS, table_versions.INTERACTIONS, table_versions.QUARANTINE, table_versions.SOURCE)
KINDS = (Kind("power_loss", publish_bundle, found_bundle), Kind("power_loss_tables", publish_tables, found_tables))


def recorded(kind: Kind, place: Path, text: bytes) -> tuple[list[Step], str]:
    """Publish, and record each change of the disk."""
    steps: list[Step] = []
    rename, replace, fsync, link, mkdir = os.rename, os.replace, os.fsync, os.link, Path.mkdir
    durably, plainly = atomic.write_durably, Path.write_bytes

    def name(path: Any) -> str:
        return os.path.relpath(path, place)

    def writing(original: Any) -> Any:
        def written(path: Path, content: bytes) -> None:
            steps.append(Step("write", name(path), content=content))
            original(path, content)

        return written

    def moving(original: Any) -> Any:
        def moved(old: Any, new: Any) -> None:
            steps.append(Step("rename", name(old), name(new)))
            original(old, new)

        return moved

    def syncing(descriptor: int) -> None:
        steps.append(Step("sync", name(os.readlink(f"/proc/self/fd/{descriptor}"))))
        fsync(descriptor)

    def linking(old: Any, new: Any, **kwargs: Any) -> None:
        steps.append(Step("link", name(new), content=Path(old).read_bytes()))
        link(old, new, **kwargs)

    def making(path: Path, *args: Any, **kwargs: Any) -> None:
        if not path.exists():
            steps.append(Step("mkdir", name(path)))
        mkdir(path, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        for module in (atomic, writer):
            patch.setattr(module, "write_durably", writing(durably))
        patch.setattr(Path, "write_bytes", writing(plainly))
        patch.setattr(os, "rename", moving(rename))
        patch.setattr(os, "replace", moving(replace))
        patch.setattr(os, "fsync", syncing)
        patch.setattr(os, "link", linking)
        patch.setattr(Path, "mkdir", making)
        published = kind.publish(place, text)
    return steps, published


def after(base: dict[str, bytes | None], steps: list[Step], lucky: set[int] | None) -> Disk:
    """Return the disk after some steps; `lucky` are the unsynced name changes that reached it, None: all."""
    disk = Disk(dict(base))
    for number, step in enumerate(steps):
        if step.kind == "sync":
            continue
        later = steps[number + 1 :]
        if step.kind in ("write", "link"):
            path, safe, named = step.path, step.kind == "link", False
            for other in later:  # the bytes, under whatever name the folder has by then
                safe |= other.kind == "sync" and other.path == path
                named |= other.kind == "sync" and other.path == (os.path.dirname(path) or ".")
                if other.kind == "rename" and (path == other.path or path.startswith(other.path + "/")):
                    path = other.to + path[len(other.path) :]
            if named or lucky is None or number in lucky:
                disk.files[step.path] = step.content if safe else b""
        else:
            target = step.to or step.path
            synced = any(other.kind == "sync" and other.path == (os.path.dirname(target) or ".") for other in later)
            if not (synced or lucky is None or number in lucky):
                # A folder whose name is not durable yet may still be renamed by a step that is.
                if step.kind == "mkdir" and any(other.kind == "rename" for other in later):
                    disk.files[step.path] = None
                continue
            if step.kind == "mkdir":
                disk.files[step.path] = None
            else:
                disk.rename(step.path, step.to)
    return disk


def outcomes(base: dict[str, bytes | None], steps: list[Step]) -> Iterator[Disk]:
    """Yield every state in which the steps so far may be on the disk."""
    yield after(base, steps, None)
    yield after(base, steps, set())
    for number, step in enumerate(steps):
        if step.kind == "rename":  # what it moves had a name before
            moved = {other for other, written in enumerate(steps[:number]) if written.path == step.path}
            yield after(base, steps, moved | {number})
        elif step.kind in ("write", "link"):
            yield after(base, steps, {number})


def wrong(kind: Kind, base: dict[str, bytes | None], steps: list[Step], names: tuple[str, str]) -> tuple[int, int]:
    """Return the number of states, and of those that hold neither of the two versions in `names`."""
    runs = failures = 0
    for stop in range(len(steps) + 1):
        allowed = set(names[1:] if stop == len(steps) else names)
        seen: set[int] = set()
        for disk in outcomes(base, steps[:stop]):
            if (key := hash(frozenset(disk.files.items()))) in seen:
                continue
            seen.add(key)
            runs += 1
            with tempfile.TemporaryDirectory() as name:
                disk.write_to(Path(name))
                failures += kind.found(Path(name)) not in allowed
    return runs, failures


def lost(kind: Kind) -> None:
    """Print two lines: the states, and the fsyncs."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "place"
        old = kind.publish(place, b"old")
        base = {os.path.relpath(path, place): None if path.is_dir() else path.read_bytes() for path in place.rglob("*")}
        steps, new = recorded(kind, place, b"new")
    report(kind.name, *wrong(kind, base, steps, (old, new)))
    syncs = [number for number, step in enumerate(steps) if step.kind == "sync"]
    undetected = [number for number in syncs if not wrong(kind, base, steps[:number] + steps[number + 1 :], (old, new))[1]]
    for number in undetected:
        print(f"no state fails without the fsync of {steps[number].path}", file=sys.stderr)
    report(f"{kind.name}_without_one_fsync", len(syncs), len(undetected))


def main() -> None:
    """Print two lines for each kind."""
    for kind in KINDS:
        lost(kind)


if __name__ == "__main__":
    run(main)
