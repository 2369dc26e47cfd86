"""The journal of trials: a file of JSON lines that several processes may write, and that outlives them (Optuna's journal storage)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import optuna
from filelock import FileLock
from optuna.storages.journal import JournalFileBackend

if TYPE_CHECKING:
    from pathlib import Path


def open_journal(journal: Path) -> optuna.storages.JournalStorage:
    """Open or begin a journal."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    backend = JournalFileBackend(str(journal), lock_obj=_Lock(journal))  # pyright: ignore[reportArgumentType]  (its base class is not public)
    return optuna.storages.JournalStorage(backend)


def mend(journal: Path) -> None:
    """Cut off a last line that a killed process did not finish: Optuna refuses a journal that goes on after one."""
    if not journal.exists():
        return
    content = journal.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if len(whole) < len(content):
        journal.write_bytes(whole)


class _Lock:
    """A lock of the kernel on a file beside the journal, in Optuna's form; Optuna's own locks outlive a killed process by half a minute."""

    def __init__(self, journal: Path) -> None:
        self._lock = FileLock(journal.with_name(f".{journal.name}.lock"))

    def acquire(self) -> bool:
        self._lock.acquire()
        return True

    def release(self) -> None:
        self._lock.release()
