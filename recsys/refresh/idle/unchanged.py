"""Whether a refresh can have anything to do, told by stamps of files alone: nothing of the program but this is loaded.

After a refresh that found nothing changed, one digest is stored: of the stamps of everything that such a refresh reads, of the program's
own files, of the folders that name each installed package with its version, and of the environment. While it stays the same, a refresh
would find the same again. The code of other packages is not looked at: one that is edited where it lies counts when it is installed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from filelock import FileLock, Timeout

from features.errors import RecsysError
from features.storage.file_stamp import file_stamp, files_below, newest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

RECORD = "unchanged.json"  # of the cache
_PROGRAM = ("features", "retrieval", "ranking", "eval", "recsys")
_INSTALLED = (".dist-info", ".egg-info")  # folders that name a package with its version
_PATH = tuple(sys.path)  # before libraries add to it
_SETTLED = 2.0  # seconds: what was written within one tick of a file system's clock looks alike
_CURRENT = ("data/CURRENT", "models/CURRENT", "bundles/CURRENT")
_OTHERS = ("erased.json", "experiments.toml", "service/events.sqlite", "service/items.sqlite", "reports")
_SECTIONS = 8  # deepest nesting of settings


def still_unchanged(root: Path, config: Path | None) -> str | None:
    """Return what the last refresh said, if it found nothing changed and no file that it read has been touched since; else None.

    Parameters
    ----------
    root : the workspace.
    config : the configuration file that is asked for; None for recsys.toml where there is one.
    """
    try:
        record = json.loads((root / "cache" / RECORD).read_bytes())
        files, message, digest, until = record["files"], record["message"], record["digest"], record["until"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if time.time() >= until:
        return None
    try:
        with FileLock(root / ".lock", timeout=0):  # the lock of `Workspace.alone`: a refresh that runs is not passed over
            same, _ = _digest(root, config, files)
    except (Timeout, OSError):
        return None
    return message if same == digest else None


@dataclass(frozen=True)
class InputStamps:
    """What a refresh is about to read, by its stamps.

    Attributes
    ----------
    begun : when they were looked at, seconds since the epoch.
    files : the files besides those of the workspace and of the program.
    digest : of all stamps.
    newest : the newest time among them, seconds since the epoch.
    """

    workspace: Workspace
    config: Path | None
    hours: float
    begun: float
    files: list[str]
    digest: str
    newest: float

    @classmethod
    def before_refresh(cls, workspace: Workspace, config: Path | None, settings: Settings) -> Self | None:
        """Look at everything; None where more than files decides.

        That is a source that is a database or a folder, experiments, or a shared store, into which a refresh without changes may have to
        publish.
        """
        from features.ingest.table_store import load_source, source_files

        (workspace.cache / RECORD).unlink(missing_ok=True)
        try:
            source = load_source(workspace.data)
        except RecsysError:  # the refresh tells it
            return None
        named = [value for value in source.model_dump().values() if isinstance(value, Path)]
        told_by_files = source.sql is None and (workspace.data / "CURRENT").exists() and not any(one.is_dir() for one in named)
        if not told_by_files or workspace.experiments.exists() or settings.storage.url is not None:
            return None
        begun = time.time()
        files = sorted({*map(str, source_files(source) or ()), *(str(one.absolute()) for one in _paths(settings.model_dump()))})
        return cls(workspace, config, settings.refresh.verify_hours, begun, files, *_digest(workspace.root, config, files))

    def remember(self, message: str) -> None:
        """Store that the refresh has found nothing changed, for `still_unchanged`.

        Nothing is stored if a file was touched meanwhile, or so shortly before that the refresh may have read it before the change.
        """
        from features.storage.atomic import write_whole
        from recsys.refresh.idle.verified import RECORD as VERIFIED

        with contextlib.suppress(OSError, ValueError, KeyError):  # a full disk, or no record: the next refresh looks at everything again
            verified = json.loads((self.workspace.cache / VERIFIED).read_bytes())["at"] / 1e9
            record = {"message": message, "until": verified + self.hours * 3600, "digest": self.digest, "files": self.files}
            digest, _ = _digest(self.workspace.root, self.config, self.files)
            if digest == self.digest and self.newest < self.begun - _SETTLED and time.time() < record["until"]:
                write_whole(self.workspace.cache / RECORD, json.dumps(record))


def _paths(value: Any, depth: int = _SECTIONS) -> Iterator[Path]:
    """Yield the paths among the values of settings."""
    if isinstance(value, Path):
        yield value
    elif depth and isinstance(value, dict | list | tuple):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _paths(one, depth - 1)


def _digest(root: Path, config: Path | None, files: list[str]) -> tuple[str, float]:
    """Return the SHA-256 of all stamps, of the environment and of where the program runs, and the newest time, seconds since the epoch."""
    stamps: dict[str, list[int] | None] = {path: file_stamp(path) for path in _watched(root.absolute(), config)}
    stamps |= {path: file_stamp(path) for path in files}
    environment = sorted((name, value) for name, value in os.environ.items() if name.startswith("RECSYS_"))
    facts = [stamps, environment, str(config), os.getcwd(), sys.version]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest(), newest(stamps.values()) / 1e9


def _watched(root: Path, config: Path | None) -> Iterator[str]:
    """Yield the paths of the program, of the configuration and of the workspace's parts that a refresh without changes reads."""
    here = Path(__file__).resolve().parents[3]
    for package in _PROGRAM:
        yield from files_below(here / package)
    for place in _PATH:
        with contextlib.suppress(OSError):  # a zip file, or a folder that does not exist
            yield from (entry.path for entry in os.scandir(place or ".") if entry.name.endswith(_INSTALLED))
    yield str((config or Path("recsys.toml")).absolute())
    for name in (*_CURRENT, *_OTHERS):
        yield str(root / name)
        yield str(root / f"{name}-wal")
    for name in _CURRENT:
        folder = root / os.path.dirname(name)
        try:
            yield from files_below(folder / (root / name).read_text(encoding="ascii").strip())
        except (OSError, ValueError):
            continue
    yield from files_below(root / "reports")
