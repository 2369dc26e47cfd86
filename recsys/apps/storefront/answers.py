"""What a request for a page is answered with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ranking.merchandising.place import RowName


@dataclass(frozen=True)
class Placed:
    """One item of a row.

    Attributes
    ----------
    position : from 1.
    score : what orders the row's items before anything moves them; larger is better; scores of two rows do not compare.
    probability : calibrated, that the visitor buys it; None where the row has none.
    propensity : the probability that this item is shown at this position.
    rule : the rule of merchandising.toml that placed it; None for an item that stands where its row has it.
    """

    position: int
    item_id: str
    title: str
    category: str | None
    price: float | None
    score: float
    probability: float | None
    reason: str
    propensity: float = 1.0
    rule: str | None = None


@dataclass(frozen=True)
class Row:
    """One row of a page.

    Attributes
    ----------
    impression_id : names this showing of the row; actions on it refer to it.
    rest : external ids of the items that follow when the row is turned over.
    gone : how many items of this part of the row may not be shown any more.
    """

    name: RowName
    title: str
    impression_id: str
    retriever: str
    items: tuple[Placed, ...]
    rest: tuple[str, ...] = ()
    gone: int = 0

    @property
    def more(self) -> int:
        """How many items follow."""
        return len(self.rest)

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        return {
            "name": self.name,
            "title": self.title,
            "impression_id": self.impression_id,
            "retriever": self.retriever,
            "items": [vars(item) for item in self.items],
            "more": self.more,
            "gone": self.gone,
        }


@dataclass(frozen=True)
class PageAnswer:
    """A page for one visitor.

    Attributes
    ----------
    left_out : row -> why it has nothing to show.
    notes : what of the request was not used.
    """

    page: str
    user_id: str | None
    bundle_id: str
    page_id: str
    rows: tuple[Row, ...]
    left_out: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        return {
            "page": self.page,
            "user_id": self.user_id,
            "bundle_id": self.bundle_id,
            "page_id": self.page_id,
            "rows": [row.to_dict() for row in self.rows],
            "left_out": self.left_out,
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class RowAnswer:
    """A row that was turned over."""

    bundle_id: str
    row: Row

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        return {"bundle_id": self.bundle_id, "row": self.row.to_dict()}
