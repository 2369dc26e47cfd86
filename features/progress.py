"""Progress of long work, reported through a callback that the caller passes: only the caller knows who watches."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager


class Step(Protocol):
    """Reports that some units of the work are done."""

    def __call__(self, advance: int = 1, note: str = "") -> None:
        """Report `advance` more units. `note` says how the work stands, its loss for example."""
        ...


class Progress(Protocol):
    """Opens the report of one piece of work. `silent` ignores it; `recsys.progress.terminal_progress` draws a bar."""

    def __call__(self, label: str, total: int) -> AbstractContextManager[Step]:
        """Begin work of `total` units that is called `label`; it ends with the context."""
        ...


@contextmanager
def silent(label: str, total: int) -> Iterator[Step]:
    """Report nothing."""
    yield _ignore


def _ignore(advance: int = 1, note: str = "") -> None:
    """Ignore a step."""


class EpochWatch(Protocol):
    """Told how training stands after each epoch, whose checkpoint is written by then; an exception of it ends the training."""

    def __call__(self, phase: str, epoch: int, values: Mapping[str, float]) -> None:
        """Take the values of an epoch, counted from 0, such as its loss."""
        ...


def unwatched(phase: str, epoch: int, values: Mapping[str, float]) -> None:
    """Ignore an epoch."""
