"""What every row of a page has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from retrieval.candidates import Candidates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.apps.storefront.visit import Visit


@dataclass(frozen=True)
class Said:
    """What a row says of one item: the calibrated probability of a purchase, None where it has none, and the reason."""

    probability: float | None
    reason: str


class RowKind(Protocol):
    """A kind of row."""

    @property
    def title(self) -> str:
        """What stands above the row; {} stands for `subject`."""
        ...

    @property
    def retriever(self) -> str:
        """Where the items come from, for whoever reads the answer."""
        ...

    @property
    def spreads(self) -> bool:
        """Whether categories that have their share of the page come last; not where the row is of one category by its nature."""
        ...

    @property
    def in_order(self) -> bool:
        """Whether the row promises its order: neither diversity nor chance nor a category's share moves its items."""
        ...

    def missing(self, visit: Visit) -> str | None:
        """Return why this row has nothing to show on a page; None where it can be tried."""
        ...

    def retrieve(self, visit: Visit, k: int, mask: np.ndarray) -> Candidates:
        """Return at most k items for the visitor among the permitted, bool (n_items,), best first."""
        ...

    def say(self, visit: Visit, found: Candidates) -> Sequence[Said]:
        """Return what is said of each item of a list of one visitor without padding."""
        ...

    def subject(self, visit: Visit) -> str:
        """Return what stands for {} in the title."""
        ...


class PlainRow:
    """The usual answers of a row: it needs nothing, its title names nothing, and no category takes it over."""

    spreads = True
    in_order = False

    def missing(self, visit: Visit) -> str | None:
        """See `RowKind`."""
        del visit
        return None

    def subject(self, visit: Visit) -> str:
        """See `RowKind`."""
        del visit
        return ""


def listed(visit: Visit, rows: np.ndarray, scores: np.ndarray | None = None) -> Candidates:
    """Return a list of one visitor from rows (k,), best first, and their scores; without scores 1, 1/2, 1/3 and so on."""
    scores = 1 / np.arange(1, len(rows) + 1) if scores is None else scores
    return Candidates(visit.histories, rows.astype(np.int64)[None], scores.astype(np.float32)[None])
