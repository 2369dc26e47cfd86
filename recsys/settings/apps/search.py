"""Configuration of search and of the indexes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from features.errors import DataError
from features.reviews.praise import praising_words
from features.reviews.scored import ScoredReviews
from features.storage.digests import of_json
from ranking.cross_encoder.config import QueryPairConfig
from retrieval.lexical.fields import REVIEWS
from retrieval.lexical.index import LexicalConfig, LexicalIndex
from retrieval.lexical.synonyms.concepts import Synonyms, read_synonyms
from retrieval.query_tower.config import QueryTowerConfig
from retrieval.text_search import TextSearchConfig

if TYPE_CHECKING:
    import numpy as np
    import polars as pl

    from retrieval.index_config import IndexConfig


class SearchConfig(BaseModel):
    """The section [search].

    Attributes
    ----------
    words : how words are indexed.
    retrieval : how a query is matched with texts.
    pairs : the cross-encoder over query and item.
    tower : training of the queries' side of the text vectors.
    synonyms : file of the shop's own synonyms, see docs/search.md.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    words: LexicalConfig = LexicalConfig()
    retrieval: TextSearchConfig = TextSearchConfig()
    pairs: QueryPairConfig = QueryPairConfig(rerank_depth=12, passage_tokens=16, query_tokens=16)
    tower: QueryTowerConfig = QueryTowerConfig()
    synonyms: Path | None = None

    def of_training(self, *, augments: bool) -> dict[str, Any]:
        """Return what a trained model depends on, as values that JSON can hold.

        Parameters
        ----------
        augments : whether synonyms change the texts that the encoder is tuned on; else their file changes no model.
        """
        values = self.model_dump(mode="json", exclude={"synonyms"})
        return values | ({"synonyms": of_json(self.read_synonyms().rows)} if augments else {})

    def read_synonyms(self) -> Synonyms:
        """Read the shop's own synonyms; none without a file.

        Raises
        ------
        DataError: the file cannot be read.
        """
        if self.synonyms is None:
            return Synonyms([], [])
        try:
            return read_synonyms(self.synonyms)
        except DataError as error:
            raise DataError(f"search.synonyms: {error}") from error


@dataclass(frozen=True)
class IndexSettings:
    """How vectors and words are indexed.

    Attributes
    ----------
    synonyms : the shop's own groups of equal terms.
    previous : an index of words to continue; only texts that it lacks are read.
    reviews : those whose praise is indexed with the words.
    """

    vectors: IndexConfig
    words: LexicalConfig
    retrieval: TextSearchConfig
    synonyms: tuple[tuple[str, ...], ...] = ()
    previous: LexicalIndex | None = None
    reviews: ScoredReviews = field(default_factory=ScoredReviews.empty)

    def lexical(self, fields: pl.DataFrame, text_of: np.ndarray) -> LexicalIndex:
        """Index the words of the distinct texts' fields, and of the reviews of their items; `text_of` has each item's text."""
        fields = with_praise(fields, self.reviews, text_of)
        return LexicalIndex.build(fields, self.words) if self.previous is None else self.previous.update(fields, self.words)


def with_praise(fields: pl.DataFrame, reviews: ScoredReviews, text_of: np.ndarray) -> pl.DataFrame:
    """Add the words that reviews praise items with to the fields of the distinct texts.

    A text has the reviews of all its items: variants that differ in nothing that is said of them. A shop without reviews has no such field.
    """
    return fields.with_columns(praising_words(reviews, text_of, fields.height).alias(REVIEWS)) if len(reviews) else fields
