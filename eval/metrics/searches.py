"""What became of a shop's searches, by its search log: without results, without a click, and put in other words soon after."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from features.names import CART, CLICK, EVENT, ITEM_ID, PURCHASE, QUERY, SHOWN, TIMESTAMP, USER_ID

SAME_SEARCH = pl.duration(minutes=30)  # rows of one user and query that follow each other within it are one search
SOON = pl.duration(minutes=2)
NO_RESULTS, NO_CLICK, REFORMULATED = "no_results", "no_click", "reformulated"


@dataclass(frozen=True)
class SearchFigures:
    """Searches of a log and how many of them failed.

    Attributes
    ----------
    searches : number of searches.
    failed : `NO_RESULTS`, `NO_CLICK` or `REFORMULATED` -> number of searches; None where the log cannot say.
    queries : a row for each query, by number of searches: `query`, `searches`, `users` (who are known), the three numbers of `failed`, and
        `next`, the query that most often followed where it was reformulated.
    """

    searches: int
    failed: dict[str, int | None]
    queries: pl.DataFrame

    def worst(self, kind: str, n: int) -> pl.DataFrame:
        """Return the n queries with most failed searches of a kind, with `failed` and its `share` of the query's searches."""
        if self.failed[kind] is None:
            return self.queries.head(0).with_columns(failed=pl.lit(0), share=pl.lit(0.0))
        some = self.queries.filter(pl.col(kind) > 0).with_columns(failed=pl.col(kind), share=pl.col(kind) / pl.col("searches"))
        return some.sort("failed", "share", QUERY, descending=[True, True, False]).head(n)


def figures(log: pl.DataFrame) -> SearchFigures:
    """Count the searches of a log and those that failed.

    A search is what one user did with one query without a pause of `SAME_SEARCH`; of unknown users, each moment at which a list was shown.
    Queries that differ in case and spaces alone are one. A search without results showed no item. One without a click led to no click, cart
    or purchase. One is reformulated if its user searched for something else within `SOON` of its start and clicked nothing in between.

    Parameters
    ----------
    log : columns timestamp, query, item_id, event, user_id; a row without an item is a search that showed nothing.
    """
    searches = _searches(log)
    knows = _knows(log, searches)
    counted = searches.group_by(QUERY).agg(
        searches=pl.len(),
        users=pl.col("user").drop_nulls().n_unique(),
        **{kind: pl.col(kind).sum() for kind in knows},
        next=pl.col("next").filter(pl.col(REFORMULATED)).mode().sort().first(),
    )
    failed = {kind: int(searches[kind].sum()) if known else None for kind, known in knows.items()}
    return SearchFigures(searches.height, failed, counted.sort("searches", QUERY, descending=[True, False]))


def failed_searches(log: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each search: `query`, `user`, and `NO_RESULTS`, `NO_CLICK`, `REFORMULATED` and `failed`: in any of these.

    What the log cannot say is null, and does not count as failed.
    """
    searches = _searches(log)
    kinds = [(pl.col(kind) if known else pl.lit(None, pl.Boolean)).alias(kind) for kind, known in _knows(log, searches).items()]
    table = searches.select(QUERY, "user", *kinds)
    return table.with_columns(failed=pl.any_horizontal(NO_RESULTS, NO_CLICK, REFORMULATED).fill_null(value=False))


def _knows(log: pl.DataFrame, searches: pl.DataFrame) -> dict[str, bool]:
    """Return which kinds of failure the log can say."""
    told = log.select(items=pl.col(ITEM_ID).is_not_null().any(), actions=pl.col(EVENT).is_in([CLICK, CART, PURCHASE]).any())
    known = bool(searches["user"].is_not_null().any())
    return {NO_RESULTS: bool(told["items"][0]), NO_CLICK: bool(told["actions"][0]), REFORMULATED: known}


def _searches(log: pl.DataFrame) -> pl.DataFrame:
    """Return a row for each search: query, user, start, what it failed in, and the query that its user typed next."""
    words = pl.col(QUERY).str.to_lowercase().str.replace_all(r"\s+", " ").str.strip_chars(" ")
    rows = log.lazy().select(
        words.alias(QUERY),
        pl.col(USER_ID).alias("user"),
        pl.col(TIMESTAMP).alias("start"),
        pl.col(EVENT).fill_null(SHOWN),
        items=pl.col(ITEM_ID).is_not_null(),
    )
    rows = rows.sort("user", QUERY, "start", pl.col(EVENT) != SHOWN, maintain_order=True)  # a list is shown before it is clicked
    other = pl.col("user").ne_missing(pl.col("user").shift()) | pl.col(QUERY).ne_missing(pl.col(QUERY).shift())
    later = pl.col("start").diff()
    again = pl.col("user").is_null() & (pl.col(EVENT) == SHOWN) & (later > pl.duration())
    begins = (other | (later > SAME_SEARCH) | again).fill_null(value=True)
    searches = rows.group_by(begins.cum_sum().alias("search")).agg(
        pl.col(QUERY, "user", "start").first(),
        **{NO_RESULTS: ~pl.col("items").any(), NO_CLICK: ~pl.col(EVENT).is_in([CLICK, CART, PURCHASE]).any()},
    )
    ordered = searches.sort("user", "start", "search")
    follows = (pl.col("user") == pl.col("user").shift(-1)) & (pl.col(QUERY) != pl.col(QUERY).shift(-1))
    soon = pl.col("start").shift(-1) - pl.col("start") <= SOON
    reformulated = (follows & soon & pl.col(NO_CLICK)).fill_null(value=False)
    return ordered.with_columns(reformulated.alias(REFORMULATED), next=pl.col(QUERY).shift(-1)).drop("search").collect()
