"""What customers search for and do not find, by category and by aspect.

A query belongs to the category that the search itself finds for its words, and to the aspects of the shop's list that it mentions. Both
stay the same from run to run, which topics that are learned from the queries do not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from eval.metrics.search_topics import TOPIC, FailedSearches, by_topic
from features.errors import DataError
from features.names import ASPECT, CATEGORY, LEXICAL_SCORE, QUERY, RELEVANCE
from recsys.apps.search.pipeline import BATCH, SearchGroup
from recsys.apps.search.present import ITSELF
from recsys.apps.search.request import MAX_LENGTH, SearchOptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.reviews.aspects import AspectList
    from recsys.apps.search.pipeline import Search
    from retrieval.candidates import Candidates

MOST_QUERIES = 500  # with most failed searches
SPEAKING = 10  # most relevant items of a query, which name its category
NOT_SOLD = "(no item has these words)"
CATEGORIES, ASPECTS = "categories", "aspects"
NO_LOG = "there is no search log: name one with `recsys ingest --queries FILE`"


def search_topics(search: Search, aspects: AspectList, log: pl.DataFrame | None) -> FailedSearches:
    """Sort the failed searches of a log by category and by aspect; only of its `MOST_QUERIES` worst queries.

    Parameters
    ----------
    log : the search log as it is stored; None of a shop without one.

    Raises
    ------
    DataError: there is no search log.
    """
    if log is None:
        raise DataError(NO_LOG)

    def topics_of(queries: Sequence[str]) -> dict[str, pl.DataFrame]:
        return {CATEGORIES: _categories(search, queries), ASPECTS: _aspects(aspects, queries)}

    return by_topic(log, topics_of, MOST_QUERIES)


def _aspects(aspects: AspectList, queries: Sequence[str]) -> pl.DataFrame:
    """Return the aspects that queries mention."""
    texts = pl.Series(QUERY, queries, dtype=pl.String)
    found = aspects.mentions(texts).select("sentence", pl.col(ASPECT).alias(TOPIC)).unique(maintain_order=True)
    return found.select(texts.gather(found["sentence"]), TOPIC)


def _categories(search: Search, queries: Sequence[str]) -> pl.DataFrame:
    """Return the category of each query; none of those whose items have none."""
    names = search.recommender.snapshot.catalog.frame[CATEGORY]
    rows = []
    for start in range(0, len(queries), BATCH):
        some = queries[start : start + BATCH]
        group = SearchGroup.of(search, SearchOptions(), [(query[:MAX_LENGTH], None) for query in some])
        found = replace(group, mask=np.ones(len(names), dtype=bool)).retrieve()  # what is sold out is of a category, too
        rows += [(query, _category(found, b, names) if group.readings[b].wordings else None) for b, query in enumerate(some)]
    return pl.DataFrame(rows, schema={QUERY: pl.String, TOPIC: pl.String}, orient="row").drop_nulls()


def _category(found: Candidates, b: int, names: pl.Series) -> str | None:
    """Return the category of most relevance among a query's best items."""
    valid = found.valid[b]
    rows, relevance, words = found.rows[b][valid], found.features[RELEVANCE][b][valid], found.features[LEXICAL_SCORE][b][valid]
    if not (np.nan_to_num(words).max(initial=0) > 0 or relevance.max(initial=0) >= ITSELF):
        return NOT_SOLD
    weights: dict[str, float] = {}
    for name, weight in zip(names[rows[:SPEAKING]], relevance[:SPEAKING], strict=True):
        if name is not None:
            weights[name] = weights.get(name, 0.0) + float(weight)
    return max(sorted(weights), key=weights.__getitem__, default=None)
