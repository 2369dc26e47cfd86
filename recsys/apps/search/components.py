"""The parts that answer searches, each built when it is first needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.names import TITLE
from features.reviews.praise import PraisedAspects, praising_words
from features.text.coverage import unread_texts
from features.text.languages.scripts import scripts_beside_each_other
from recsys.apps.search.suggest import Suggester
from retrieval.lexical.catalogue_words import item_barcodes
from retrieval.lexical.filters.exclusions import TitledTexts
from retrieval.lexical.spelling import whole_words
from retrieval.lexical.synonyms.thesaurus import Thesaurus, languages_of
from retrieval.text_search import TextSearch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ranking.search_ranker import QueryPairScorer, SearchRanker
    from recsys.recommend.pipeline import Recommender
    from retrieval.lexical.catalogue_words import CatalogueWords


@dataclass(frozen=True)
class SearchComponents:
    """What searches over one recommender need.

    Attributes
    ----------
    reads_pairs : whether the cross-encoder is read, where there is one; evaluation compares with and without.
    """

    recommender: Recommender
    reads_pairs: bool = True

    @property
    def pairs(self) -> QueryPairScorer | None:
        """The cross-encoder over query and item, if it is read."""
        return self.recommender.model.pairs if self.reads_pairs else None

    @cached_property
    def text_search(self) -> TextSearch:
        """The catalogue's texts by words and vectors."""
        snapshot = self.recommender.snapshot
        first = np.unique(snapshot.text_of, return_index=True)[1]
        category_of = snapshot.catalog.codes("category")[first]
        scripts = scripts_beside_each_other(snapshot.catalog.frame["title"].gather(first), self.recommender.model.tokenizer)
        sales = snapshot.collaborative.popularity.ranking
        texts = snapshot.search_texts
        return TextSearch(
            snapshot.lexical, texts.vectors, snapshot.search_index, snapshot.text_of, category_of, sales, snapshot.text_search, scripts
        )

    @cached_property
    def words(self) -> CatalogueWords:
        """What the catalogue calls things."""
        whole = whole_words(self.recommender.model.tokenizer.get_vocab())
        return self.recommender.snapshot.catalogue_words.with_real_words(whole | self.thesaurus.english_words)

    @cached_property
    def titled_texts(self) -> TitledTexts:
        """The catalogue's texts with their titles."""
        snapshot = self.recommender.snapshot
        return TitledTexts(snapshot.lexical, snapshot.catalog.frame[TITLE].gather(np.unique(snapshot.text_of, return_index=True)[1]))

    def unread(self, texts: Sequence[str]) -> bool:
        """Return whether the encoder can read none of some texts, so that its vectors say nothing of what they mean."""
        whole = [text.encode(errors="ignore").decode() for text in texts]  # polars takes no lone surrogates
        return bool(unread_texts(self.recommender.model.tokenizer, pl.Series(whole, dtype=pl.String)).all())

    @cached_property
    def barcodes(self) -> dict[str, str]:
        """Item id by barcode."""
        return item_barcodes(self.recommender.snapshot.catalog)

    @cached_property
    def praised(self) -> PraisedAspects:
        """The items that reviews praise for each aspect."""
        return PraisedAspects.of(self.recommender.snapshot.reviews)

    @cached_property
    def praise(self) -> pl.Series:
        """The words that reviews praise each item with, as a text; of an item's own reviews, not of those of all items of its text."""
        reviews, n_items = self.recommender.snapshot.reviews, len(self.recommender.snapshot.catalog)
        return praising_words(reviews, np.arange(n_items), n_items)

    @cached_property
    def thesaurus(self) -> Thesaurus:
        """Words that mean the same in a shop."""
        synonyms = self.recommender.snapshot.synonyms
        return Thesaurus.packaged().extended(synonyms) if synonyms else Thesaurus.packaged()

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """Languages that the catalogue is in; none if it has too few words to tell."""
        return languages_of(self.words.spelling.knows)

    @cached_property
    def suggester(self) -> Suggester:
        """Completions of what is typed."""
        return Suggester.of(self.recommender.snapshot.catalog, self.recommender.snapshot.collaborative.popularity.ranking)

    @cached_property
    def ranker(self) -> SearchRanker:
        """Joins relevance, popularity and preference."""
        return self.recommender.model.search
