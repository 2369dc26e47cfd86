"""What is asked for: customers for one item, a category, or the words of a product."""

from __future__ import annotations

from dataclasses import dataclass

from features.errors import DataError

MAX_LENGTH = 1_000  # characters of a text; a product's name and a sentence are far shorter


@dataclass(frozen=True)
class AudienceRequest:
    """One question.

    Attributes
    ----------
    item, category, text : exactly one of them.
    k : customers at most.
    budget : in the shop's currency; it buys as many letters as it pays for. None for no limit.

    Raises
    ------
    DataError
        If none or several are given, the text is empty or very long, or a number is out of its range.
    """

    item: str | None = None
    category: str | None = None
    text: str | None = None
    k: int = 100
    budget: float | None = None

    def __post_init__(self) -> None:
        given = [name for name in ("item", "category", "text") if getattr(self, name) is not None]
        if len(given) != 1:
            raise DataError(f"an audience is for one item, category or text, found {', '.join(given) or 'none'}: give one of them")
        if self.text is not None and not self.text.strip():
            raise DataError("the text is empty: describe the product in a few words")
        if self.text is not None and len(self.text) > MAX_LENGTH:
            raise DataError(f"the text has {len(self.text):,} characters, expected at most {MAX_LENGTH:,}: shorten it")
        if self.k < 1:
            raise DataError(f"k is {self.k}, expected at least 1 customer: raise it")
        if self.budget is not None and not 0 < self.budget < float("inf"):
            raise DataError(f"the budget is {self.budget}, expected an amount above 0: raise it")
