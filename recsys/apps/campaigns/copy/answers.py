"""What copy is answered with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from features.names import SEGMENT


@dataclass(frozen=True)
class UsedFact:
    """A fact that a text states."""

    name: str
    value: str
    source: str


@dataclass(frozen=True)
class CopyVariant:
    """One text of a campaign.

    Attributes
    ----------
    name : for the A/B test, "subject-1".
    form : subject, text, push or sms.
    reworded : whether a language model wrote it, checked against the facts.
    """

    name: str
    form: str
    text: str
    facts: tuple[UsedFact, ...]
    reworded: bool = False


@dataclass(frozen=True)
class Copy:
    """The variants of one product or offer, for one segment and language.

    Attributes
    ----------
    notes : what was left out and why.
    """

    item_id: str | None
    offer: str | None
    segment: str | None
    language: str
    variants: tuple[CopyVariant, ...]
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the stable form of `--json`."""
        variants = [
            {"name": one.name, "form": one.form, "text": one.text, "characters": len(one.text), "reworded": one.reworded}
            | {"facts": [vars(fact) for fact in one.facts]}
            for one in self.variants
        ]
        return {name: getattr(self, name) for name in ("item_id", "offer", SEGMENT, "language")} | {
            "variants": variants,
            "notes": list(self.notes),
        }
