"""Takes out of a message what never leaves the shop, before a language model rewords it, and puts it back afterwards."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import polars as pl

from features.ingest.values.personal_data import KINDS, masked
from recsys.wording.facts import FactKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.wording.message import Message

# Countries whose phone numbers are found without a country code.
REGIONS = ("US", "GB", "DE", "FR", "ES", "IT", "NL", "PL", "CN", "JP")
_PLACEHOLDER = re.compile(r"⟦\s*(\d+)\s*⟧")


@dataclass(frozen=True)
class Masked:
    """A message's text without personal data.

    Attributes
    ----------
    text : str
        With placeholders such as ⟦1⟧, which no value holds.
    values : tuple of str
        What stands behind them, in order.
    """

    text: str
    values: tuple[str, ...]

    def restored(self, wording: str) -> str | None:
        """Return a wording with its values; None unless it has each placeholder once."""
        found = Counter(int(number) for number in _PLACEHOLDER.findall(wording))
        if found != Counter(range(1, len(self.values) + 1)):
            return None
        return _PLACEHOLDER.sub(lambda place: self.values[int(place[1]) - 1], wording)


def mask(message: Message, regions: Sequence[str] = REGIONS) -> Masked:
    """Return a message's text in which persons, order numbers, links, private facts and personal data are placeholders.

    A piece in which a mail address, a phone or card number or an introduced name is found is taken out as a whole.
    """
    pieces = message.pieces
    counts = masked(pl.Series([piece.text for piece in pieces], dtype=pl.String), regions).struct.unnest()
    personal = counts.select(pl.any_horizontal(pl.col(kind) > 0 for kind in KINDS)).to_series().to_list() if pieces else []
    text, values = "", list[str]()
    for piece, holds in zip(pieces, personal, strict=True):
        hidden = piece.fact is not None and (piece.fact.private or piece.fact.kind == FactKind.LINK)
        if (hidden or holds) and piece.text.strip():
            values.append(piece.text)
            text += f"⟦{len(values)}⟧"
        else:
            text += piece.text
    return Masked(text, tuple(values))
