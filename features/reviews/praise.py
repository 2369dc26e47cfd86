"""What the reviews of an item praise: the aspects, and the words of the praising sentences."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.errors import DataError
from features.names import ASPECT, POSITIVE, REVIEW, SENTENCE, SENTIMENT
from features.reviews.folding import folded
from features.reviews.languages import FUNCTION_WORDS
from features.reviews.summary import KEY
from features.text.closest import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.reviews.scored import ScoredReviews

LEAST_MENTIONS, LEAST_SHARE = 5, 0.7  # of an aspect that an item is praised for
LEAST_REVIEWS = 2  # that praise an item with a word
MOST_WORDS = 40  # of an item, those of most reviews
ADVICE = "run `recsys ingest` with --reviews FILE and `recsys build-index`, or leave the filter out"
REPEATS = 10  # of a word that all reviews of an item praise it with
# Function words, with some that several languages have.
_SHARED = ("a", "an", "as", "at", "be", "been", "do", "had", "if", "in", "it", "my", "on", "or", "so", "to", "we", "were", "would")
_STOPS = [*_SHARED, *{word for words in FUNCTION_WORDS.values() for word in words.split()}]
_LETTERS = r"[\p{L}\p{N}&&[^\p{Han}]]+"
_PAIRS = r"\p{Han}{2}"
# "Not loud" praises, and is no praise for being loud.
_NEGATED = (
    r"\b(?:not only|nicht nur)\b",  # these deny nothing
    r"\b(?:not|no|never|without|hardly|barely|neither|nor|nothing|(?:is|are|was|were|do|does|did|ca|wo|would|could|should|has|have|had)n ?t"
    r"|nicht|kein\p{L}*|nie|niemals|ohne|kaum|pas|jamais|sans|nunca|sin|ni)"
    r"(?: (?:too|at all|very|so|really|any|the|a|an|zu|sehr|trop|tres|demasiado|muy|the least))* \p{L}+",
    r"[不没沒无無]\p{Han}{1,2}",
)


@dataclass(frozen=True)
class PraisedAspects:
    """The items that reviews praise for each aspect.

    Attributes
    ----------
    rows : aspect -> catalogue rows, ascending; all aspects that any review mentions.
    """

    rows: Mapping[str, np.ndarray]

    @classmethod
    def of(cls, scored: ScoredReviews) -> PraisedAspects:
        """Take the items where at least `LEAST_MENTIONS` reviews that count mention the aspect, `LEAST_SHARE` of them with praise."""
        counts = scored.praise_of_items
        praised = counts.filter((pl.col("mentions") >= LEAST_MENTIONS) & (pl.col(POSITIVE) >= LEAST_SHARE)).sort(ASPECT, "item")
        found = {name: rows["item"].to_numpy() for (name,), rows in praised.partition_by(ASPECT, as_dict=True).items()}
        nothing = praised["item"].head(0).to_numpy()
        return cls({name: found.get(name, nothing) for name in counts[ASPECT].unique().sort().to_list()})

    def items(self, aspect: str, n_items: int) -> np.ndarray:
        """Return which items are praised for an aspect, bool (n_items,); its case does not matter.

        Raises
        ------
        DataError
            No review mentions the aspect, or there are no reviews.
        """
        if not self.rows:
            raise DataError(f"there are no reviews of what is praised for {aspect!r}: {ADVICE}")
        name = next((one for one in self.rows if one.casefold() == aspect.strip().casefold()), None)
        if name is None:
            hint = did_you_mean(aspect, self.rows) or ""
            raise DataError(f"no review mentions the aspect {aspect!r}{hint}: expected one of {', '.join(self.rows)}")
        mask = np.zeros(n_items, dtype=bool)
        mask[self.rows[name]] = True
        return mask

    def counts(self, rows: np.ndarray) -> dict[str, int]:
        """Return for each aspect how many of some items are praised for it, most first; aspects of none are left out."""
        found = {name: int(_among(rows, praised).sum()) for name, praised in self.rows.items()}
        return {name: found[name] for name in sorted(found, key=lambda name: (-found[name], name)) if found[name]}


def praising_words(scored: ScoredReviews, key_of: np.ndarray, n_keys: int) -> pl.Series:
    """Return for each key the words that the reviews of its items praise them with, as a text; empty where no review does.

    A word is taken if at least `LEAST_REVIEWS` reviews that count have it in a praising sentence. It stands in the text once
    for each tenth of the reviews that do, so that what one in three says weighs more than what one in ten says, and what fewer
    than one in twenty say is left out. So is what a sentence denies: "not loud".

    Parameters
    ----------
    key_of : key of each catalogue row, int64 (n_items,): the row itself, or the text that it shares with others.
    """
    keys = pl.Series(KEY, key_of)
    praise = scored.counted_mentions.filter(pl.col(SENTIMENT) == POSITIVE).unique([REVIEW, SENTENCE], maintain_order=True)
    words = praise.select(REVIEW, keys.gather(praise["item"]), _words(praise[SENTENCE])).lazy().explode("word").drop_nulls("word")
    said = words.unique([REVIEW, "word"]).group_by(KEY, "word").len("praises").filter(pl.col("praises") >= LEAST_REVIEWS)
    reviews = keys.gather(scored.counted.drop_nulls(SENTIMENT)["item"]).value_counts(name="reviews").lazy()
    times = (REPEATS * pl.col("praises") / pl.col("reviews")).round().clip(0, REPEATS).cast(pl.Int64)
    texts = (
        said.join(reviews, on=KEY)
        .sort(KEY, "praises", "word", descending=[False, True, False])
        .group_by(KEY, maintain_order=True)
        .head(MOST_WORDS)
        .select(KEY, pl.col("word").repeat_by(times).list.join(" "))
        .group_by(KEY, maintain_order=True)
        .agg(pl.col("word").str.join(" "))
        .collect()
    )
    every = pl.DataFrame({KEY: range(n_keys)}, schema={KEY: keys.dtype})
    return every.join(texts, on=KEY, how="left", maintain_order="left")["word"].fill_null("")


def _among(rows: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return which rows are among known ones, which ascend."""
    place = np.searchsorted(known, rows)
    found = np.zeros(len(rows), dtype=bool)
    inside = place < len(known)
    found[inside] = known[place[inside]] == rows[inside]
    return found


def _words(sentences: pl.Series) -> pl.Series:
    """Return the words of sentences without function words and without what is denied; of Chinese, each two neighbours."""
    only, denied, chinese = _NEGATED
    texts = folded(sentences).str.replace_all(only, " ").str.replace_all(denied, " ").str.replace_all(chinese, " ")
    found = pl.DataFrame({"text": texts}).select(
        word=pl.concat_list(
            pl.col("text").str.extract_all(_LETTERS),
            pl.col("text").str.extract_all(_PAIRS),
            pl.col("text").str.replace_all(r"\p{Han}(\p{Han}*)", " $1").str.extract_all(_PAIRS),
        )
    )
    long_enough = pl.element().str.len_chars() > 1
    return found["word"].list.eval(pl.element().filter(long_enough & ~pl.element().is_in(_STOPS)))
