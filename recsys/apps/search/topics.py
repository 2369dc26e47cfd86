"""What customers search for, or ask the assistant, and do not find, by category and by aspect.

A query belongs to the category that the search itself finds for its words, and to the aspects of the shop's list that it mentions. Both
stay the same from run to run, which topics that are learned from the queries do not.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, get_args

import numpy as np
import polars as pl

from eval.metrics.search_topics import TOPIC, FailedSearches, by_topic
from eval.metrics.searches import NO_RESULTS, REFORMULATED, failed_searches
from features.errors import DataError
from features.names import ASPECT, CATEGORY, LEXICAL_SCORE, QUERY, RELEVANCE
from recsys.apps.search.pipeline import BATCH, SearchGroup
from recsys.apps.search.present import ITSELF
from recsys.apps.search.request import MAX_LENGTH, SearchOptions
from recsys.dialogue.conversations import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from features.reviews.aspects import AspectList
    from recsys.apps.search.pipeline import Search
    from recsys.dialogue.conversations import Conversations
    from retrieval.candidates import Candidates

MOST_QUERIES = 500  # with most failed searches
MOST_MESSAGES = 10_000  # the latest without an answer
SPEAKING = 10  # most relevant items of a query, which name its category
NOT_SOLD = "(no item has these words)"
CATEGORIES, ASPECTS = "categories", "aspects"
NO_SEARCHES = FailedSearches(0, 0, 0, 0, {CATEGORIES: pl.DataFrame(), ASPECTS: pl.DataFrame()})
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
    return by_topic(failed_searches(log), _topics_by(search, aspects), MOST_QUERIES)


def message_topics(search: Search, aspects: AspectList, kept: Conversations) -> FailedSearches:
    """Sort the messages to which the assistant had no answer in the same way; those that a person took off the list are left out."""
    many = kept.counts() if kept.exists else {}
    turns = kept.turns("unanswered", MOST_MESSAGES) if many else []
    columns = {QUERY: [" ".join(turn.question.lower().split()) for turn in turns], "user": [turn.conversation for turn in turns]}
    nothing = pl.lit(None, pl.Boolean)  # a message has no list that could lack results, or a click
    failed = pl.DataFrame(columns, schema={QUERY: pl.String, "user": pl.String}).with_columns(
        nothing.alias(NO_RESULTS), nothing.alias(REFORMULATED), failed=pl.lit(value=True)
    )
    found = by_topic(failed, _topics_by(search, aspects), MOST_QUERIES)
    return replace(found, searches=sum(many.get(outcome, 0) for outcome in get_args(Outcome)))


def _topics_by(search: Search, aspects: AspectList) -> Callable[[Sequence[str]], dict[str, pl.DataFrame]]:
    return lambda queries: {CATEGORIES: _categories(search, queries), ASPECTS: _aspects(aspects, queries)}


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
