"""What a wording can have wrong."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ProblemKind(StrEnum):
    """The kinds of problems, from what a wording states to what it leaves out."""

    NUMBER = "number"  # also percentages, units and counts
    MONEY = "money"
    DATE = "date"
    NAME = "name"  # of products, brands, people
    LINK = "link"  # also order numbers
    QUOTE = "quote"  # words in quotation marks that nobody said
    SUBJECT = "subject"  # a value or a comparison given to something else
    NEGATION = "negation"
    CLAIM = "claim"  # a word that neither text nor facts support
    PROMISE = "promise"  # an action that nobody announced
    CONDITION = "condition"  # if, unless, only, within
    DROPPED = "dropped"  # a word of a quote or of the shop that is gone
    FORM = "form"  # empty, far too long, another language or script


@dataclass(frozen=True)
class Problem:
    """One thing that a wording has wrong.

    Attributes
    ----------
    kind : ProblemKind
        What it is about.
    found : str
        What the wording has; empty if something is missing.
    expected : str
        What text and facts have; empty if nothing supports what was found.
    """

    kind: ProblemKind
    found: str = ""
    expected: str = ""

    def __str__(self) -> str:
        """One line for people."""
        if self.found and self.expected:
            return f"{self.kind}: found {self.found!r}, expected {self.expected!r}"
        return f"{self.kind}: {self.found!r} has no support" if self.found else f"{self.kind}: {self.expected!r} is missing"
