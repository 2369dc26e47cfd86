"""What a request for recommendations is answered with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Recommendation:
    """One item of an answer.

    `probability`: calibrated, that it is bought; None without a trained model. `contributions`: feature and what it added to the log odds.
    `rule`: the rule of merchandising.toml that placed it; None where the ranking did.
    """

    rank: int
    item_id: str
    title: str
    category: str | None
    price: float | None
    probability: float | None
    reason: str
    contributions: tuple[tuple[str, float], ...] = ()
    rule: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`; `contributions` only where they were asked for, `rule` only where one placed the item."""
        values: dict[str, Any] = {
            "rank": self.rank,
            "item_id": self.item_id,
            "title": self.title,
            "category": self.category,
            "price": self.price,
            "probability": self.probability,
            "reason": self.reason,
        }
        values |= {"contributions": dict(self.contributions)} if self.contributions else {}
        return values | ({} if self.rule is None else {"rule": self.rule})


@dataclass(frozen=True)
class Answer:
    """The items for one user, best first. `fallback`: why the list is not a personal one, if it is not."""

    user_id: str | None
    bundle_id: str
    fallback: str | None
    items: tuple[Recommendation, ...]

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        return {
            "user_id": self.user_id,
            "bundle_id": self.bundle_id,
            "fallback": self.fallback,
            "items": [item.to_dict() for item in self.items],
        }


@dataclass(frozen=True)
class Match:
    """One item that is similar to another, or found by a text. `score`: cosine similarity, -1 to 1."""

    rank: int
    item_id: str
    title: str
    category: str | None
    price: float | None
    score: float


@dataclass(frozen=True)
class Matches:
    """The items nearest to a query, best first. `query`: the item's id or the text."""

    query: str
    bundle_id: str
    items: tuple[Match, ...]

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        return {"query": self.query, "bundle_id": self.bundle_id, "items": [vars(item) for item in self.items]}
