"""Pairs of texts that belong together: parts of one item's text, an item and what a customer says of it, and items bought together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from features.names import CATEGORY, DESCRIPTION, TITLE
from features.text.template import MAX_DESCRIPTION

if TYPE_CHECKING:
    from features.data.interactions import Interactions

TOGETHER = "bought together"
HELD_OUT = 10  # every tenth text
LAGS = 3  # purchases of one customer that count as together: each with the next ones in time
COMMON = 0.1  # share of the texts above which a category tells nothing
SHRINK = 5.0  # purchases that are added to those of each item, so that a single one is not taken for a strong relation
FEWEST_LETTERS = 3  # of a part of a text that can be learned from


@dataclass(frozen=True)
class TextPairs:
    """Pairs of one kind.

    Attributes
    ----------
    kind : what they are, for the log and the model card.
    owner : the distinct text of the item that each side belongs to, int64 (m, 2).
    parts : the words of each side; None: the whole texts of `owner`.
    """

    kind: str
    owner: np.ndarray
    parts: tuple[pl.Series, pl.Series] | None = None

    def __len__(self) -> int:
        return len(self.owner)

    def take(self, rows: np.ndarray) -> TextPairs:
        """Return some pairs."""
        parts = None if self.parts is None else (self.parts[0].gather(rows), self.parts[1].gather(rows))
        return TextPairs(self.kind, self.owner[rows], parts)

    def at_most(self, most: int, rng: np.random.Generator) -> TextPairs:
        """Return a random sample of at most `most` pairs, in their order."""
        return self if len(self) <= most else self.take(np.sort(rng.choice(len(self), most, replace=False)))


def held_out_texts(n_texts: int, seed: int) -> np.ndarray:
    """Return which texts no pair of the training has, bool (n_texts,)."""
    return np.random.default_rng([seed, 127]).permutation(n_texts) % HELD_OUT == 0


def catalogue_pairs(items: pl.DataFrame) -> list[TextPairs]:
    """Pair the title of each distinct text with its category and with its description; a kind that the shop lacks is left out.

    Parameters
    ----------
    items : an item of each distinct text, in the order of the texts.
    """
    path = pl.col(CATEGORY).str.split("|").list.reverse().list.eval(pl.element().str.strip_chars()).list.join(", ")
    columns = {CATEGORY: path, DESCRIPTION: pl.col(DESCRIPTION).str.slice(0, MAX_DESCRIPTION)}
    frame = items.select(pl.col(TITLE).str.strip_chars(), **columns).fill_null("").with_row_index("text")
    found = []
    for name in columns:
        both = frame.filter(*(pl.col(side).str.len_chars() >= FEWEST_LETTERS for side in (TITLE, name)), pl.col(TITLE) != pl.col(name))
        if len(both):
            found.append(TextPairs(f"title and {name}", _twice(both["text"]), (both[TITLE], both[name])))
    return found


def review_pairs(items: pl.DataFrame, text: np.ndarray, sentences: pl.Series) -> TextPairs:
    """Pair titles with sentences of reviews.

    Parameters
    ----------
    items : as of `catalogue_pairs`.
    text : the distinct text that each sentence speaks of, int64 (m,).
    """
    frame = pl.DataFrame({"text": text, "title": items[TITLE].gather(text), "said": sentences}).filter(
        pl.col("said").str.len_chars() >= FEWEST_LETTERS
    )
    return TextPairs("title and review", _twice(frame["text"]), (frame["title"], frame["said"]))


def pairs_together(log: Interactions, days: float, most: int, rng: np.random.Generator) -> tuple[TextPairs, np.ndarray]:
    """Pair what customers bought in one order or within days, the likelier the more often compared with the items' sales.

    Parameters
    ----------
    log : over distinct texts.
    days : between two purchases of a customer; 0: the same moment.
    most : pairs that are drawn.

    Returns
    -------
    pairs : drawn ones.
    keys : of all, a * n_items + b for both orders of each pair, int64, sorted.
    """
    bought = np.isin(log.event, LABEL_EVENTS)
    user, item, time = (column[bought].astype(np.int64) for column in (log.user, log.item, log.time))
    order = np.lexsort((rng.random(len(user)), time, user))  # within an order the rows of the catalogue say nothing
    user, item, time = user[order], item[order], time[order]
    found = []
    for lag in range(1, LAGS + 1):
        near = (user[lag:] == user[:-lag]) & (time[lag:] - time[:-lag] <= days * DAY) & (item[lag:] != item[:-lag])
        one, other = item[:-lag][near], item[lag:][near]
        found.append(np.minimum(one, other) * log.n_items + np.maximum(one, other))
    key, count = np.unique(np.concatenate(found), return_counts=True)
    one, other = key // log.n_items, key % log.n_items
    sales = np.bincount(item, minlength=log.n_items) + SHRINK
    weight = count / np.sqrt(sales[one] * sales[other])
    # The largest of exponentials over rates: a draw without replacement by weight (Efraimidis and Spirakis 2006).
    chosen = np.sort(np.argsort(rng.exponential(size=len(key)) / weight)[:most])
    pairs = TextPairs(TOGETHER, np.stack([one[chosen], other[chosen]], axis=1))
    return pairs, np.unique(np.concatenate([key, other * log.n_items + one]))


def _twice(text: pl.Series) -> np.ndarray:
    column = text.to_numpy().astype(np.int64)
    return np.stack([column, column], axis=1)


@dataclass(frozen=True)
class RelatedTexts:
    """Texts that belong together, of which none must be learned as wrong for the other.

    Attributes
    ----------
    group : code of each text's category, int64 (n_texts,); -1 where it has none, or one that holds a tenth of the texts.
    together : keys of what was bought together, as of `pairs_together`.
    """

    group: np.ndarray
    together: np.ndarray

    @classmethod
    def of(cls, category: np.ndarray, together: np.ndarray) -> RelatedTexts:
        """Make them of each text's category code, -1 without one."""
        sizes = np.bincount(category[category >= 0], minlength=1)
        large = sizes > max(COMMON * len(category), 1)
        return cls(np.where((category >= 0) & ~large[category], category, -1), together)

    def mask(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """Return whether texts (b,) and (c,) belong together, bool (b, c)."""
        found = (left[:, None] == right[None, :]) | (
            (self.group[left][:, None] == self.group[right][None, :]) & (self.group[left] >= 0)[:, None]
        )
        if len(self.together):
            keys = left[:, None] * len(self.group) + right[None, :]
            place = np.minimum(np.searchsorted(self.together, keys), len(self.together) - 1)
            found |= self.together[place] == keys
        return found
