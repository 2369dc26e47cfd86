"""What a search is answered with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

PRAISED = "praised"  # the facet and the filter


@dataclass(frozen=True)
class Hit:
    """One item of an answer.

    Attributes
    ----------
    score : relevance and, for a known user, preference; only its order within one answer has a meaning.
    probability : calibrated, that whoever searches for this buys the item; None where no log allows it.
    reason : why the item is there, in a sentence.
    contributions : feature and what it added to the score; only where they were asked for.
    rule : the rule of merchandising.toml that placed it; None where the ranking did.
    """

    rank: int
    item_id: str
    title: str
    category: str | None
    price: float | None
    score: float
    probability: float | None
    reason: str
    contributions: tuple[tuple[str, float], ...] = ()
    rule: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`; `contributions` only where they were asked for, `rule` only where one placed the item."""
        values = {name: value for name, value in vars(self).items() if name not in ("contributions", "rule")}
        values |= {"contributions": dict(self.contributions)} if self.contributions else {}
        return values | ({} if self.rule is None else {"rule": self.rule})


@dataclass(frozen=True)
class AppliedFilter:
    """A condition that was read from the query's words.

    Attributes
    ----------
    key : names it in `SearchOptions.ignore`, such as "max_price:3".
    label : for people, such as "up to 3".
    words : the words of the query that it was read from.
    relaxed : whether it was dropped because nothing that fits meets it.
    """

    key: str
    label: str
    words: str
    relaxed: bool = False


@dataclass(frozen=True)
class Facet:
    """A way to narrow the list: values of one property among the fitting items, with their counts, most frequent first.

    `name`: "category", "brand", "price" or "praised", whose values are aspects; values of "price" are ranges such as "2-5".
    """

    name: str
    values: tuple[tuple[str, int], ...]

    @property
    def label(self) -> str:
        """What people see."""
        return "praised for" if self.name == PRAISED else self.name


@dataclass(frozen=True)
class SearchAnswer:
    """The hits of one query, best first.

    Attributes
    ----------
    query : as typed.
    read_as : as understood: spelling mended, words of filters left out.
    corrections : words as typed and as they were read.
    did_you_mean : another query that would find more; None if there is none.
    filters : conditions read from the query's words.
    facets : of all fitting items, not of the k shown alone.
    fallback : why the list is not what was asked for, in a sentence ("no item has these words: nearest in meaning"); None if it is.
    notes : what else to know of how the query was read ("no item has the word 'xyz'"), one sentence each.
    """

    query: str
    user_id: str | None
    bundle_id: str
    items: tuple[Hit, ...]
    read_as: str = ""
    corrections: tuple[tuple[str, str], ...] = ()
    did_you_mean: str | None = None
    filters: tuple[AppliedFilter, ...] = ()
    facets: tuple[Facet, ...] = ()
    fallback: str | None = None
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        return {
            "query": self.query,
            "user_id": self.user_id,
            "bundle_id": self.bundle_id,
            "read_as": self.read_as,
            "did_you_mean": self.did_you_mean,
            "fallback": self.fallback,
            "items": [item.to_dict() for item in self.items],
            "corrections": [{"typed": typed, "read": read} for typed, read in self.corrections],
            "filters": [vars(one) for one in self.filters],
            "notes": list(self.notes),
            "facets": {facet.name: [{"value": value, "count": count} for value, count in facet.values] for facet in self.facets},
        }


@dataclass(frozen=True)
class Suggestion:
    """A completion while typing. `kind`: "category", "brand" or "item"; `item_id`: of items of this title, the one that sells most."""

    text: str
    kind: str
    item_id: str | None = None
