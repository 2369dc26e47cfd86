"""Failed searches, and messages to the assistant without an answer, by topic: what customers ask for and do not find."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import polars as pl

from eval.metrics.searches import NO_RESULTS, REFORMULATED
from features.names import QUERY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EXAMPLES = 3  # queries of a topic
TOPIC = "topic"


@dataclass(frozen=True)
class FailedSearches:
    """The failed searches of a log, and those of its worst queries by topic; or the same of messages.

    Attributes
    ----------
    searches, failed : numbers of searches.
    sorted_in : failed searches of the queries that were given topics.
    queries : how many queries that are.
    topics : kind of topic -> rows with most failed searches first: `topic`, `failed`, `no_results` and `reformulated` (null where nothing
        can say), `users` (who are known; of messages, conversations), `queries` and `examples`. A query may be of several topics of a
        kind, or of none.
    """

    searches: int
    failed: int
    sorted_in: int
    queries: int
    topics: dict[str, pl.DataFrame]

    def to_dict(self) -> dict[str, Any]:
        """The stable form of `--json`."""
        counts = {"searches": self.searches, "failed": self.failed, "sorted": self.sorted_in, "queries": self.queries}
        return counts | {kind: table.to_dicts() for kind, table in self.topics.items()}


def by_topic(found: pl.DataFrame, topics_of: Callable[[Sequence[str]], dict[str, pl.DataFrame]], most: int) -> FailedSearches:
    """Sort the failed ones among searches, or messages, by topic.

    Parameters
    ----------
    found : as `eval.metrics.searches.failed_searches` gives them.
    topics_of : returns, for queries, each kind of topic with a table of `query` and `topic`.
    most : so many queries, those with most failed searches, are given topics.
    """
    bad = found.filter("failed")
    worst = bad.group_by(QUERY).len().sort("len", QUERY, descending=[True, False]).head(most)
    tables = topics_of(worst[QUERY].to_list())
    sorted_in = int(worst["len"].sum())
    return FailedSearches(found.height, bad.height, sorted_in, worst.height, {kind: _counted(bad, table) for kind, table in tables.items()})


def _counted(failed: pl.DataFrame, topics: pl.DataFrame) -> pl.DataFrame:
    joined = failed.join(topics, on=QUERY, how="inner")
    often = joined.group_by(TOPIC, QUERY).len().sort("len", QUERY, descending=[True, False])
    examples = often.group_by(TOPIC, maintain_order=True).agg(pl.col(QUERY).head(EXAMPLES).alias("examples"), queries=pl.len())
    counts = joined.group_by(TOPIC).agg(
        failed=pl.len(),
        **{kind: pl.when(pl.col(kind).count() > 0).then(pl.col(kind).sum()) for kind in (NO_RESULTS, REFORMULATED)},
        users=pl.col("user").drop_nulls().n_unique(),
    )
    return (
        counts.join(examples, on=TOPIC)
        .sort("failed", TOPIC, descending=[True, False])
        .select(TOPIC, "failed", NO_RESULTS, REFORMULATED, "users", "queries", "examples")
    )
