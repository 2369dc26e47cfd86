"""Configuration of search and of the indexes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict

from ranking.cross_encoder.config import QueryPairConfig
from retrieval.lexical.index import LexicalConfig, LexicalIndex
from retrieval.text_search import TextSearchConfig

if TYPE_CHECKING:
    import polars as pl

    from retrieval.index import IndexConfig


class SearchConfig(BaseModel):
    """The section [search].

    Attributes
    ----------
    words : how words are indexed.
    retrieval : how a query is matched with texts.
    pairs : the cross-encoder over query and item.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    words: LexicalConfig = LexicalConfig()
    retrieval: TextSearchConfig = TextSearchConfig()
    pairs: QueryPairConfig = QueryPairConfig(passage_tokens=24, query_tokens=16, epochs=2)


@dataclass(frozen=True)
class IndexSettings:
    """How vectors and words are indexed.

    Attributes
    ----------
    previous : an index of words to continue; only texts that it lacks are read.
    """

    vectors: IndexConfig
    words: LexicalConfig
    retrieval: TextSearchConfig
    previous: LexicalIndex | None = None

    def lexical(self, fields: pl.DataFrame) -> LexicalIndex:
        """Index the words of the distinct texts' fields."""
        return LexicalIndex.build(fields, self.words) if self.previous is None else self.previous.update(fields, self.words)
