"""Queries of the shop's own search log after a cut, with what was then clicked, put into the cart and bought as relevant.

Clicks favour the engine that showed the list: what it did not show, nobody could click. Purchases favour it less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from eval.metrics.judged import Judgments
from eval.search.kinds import head_and_tail, known_users
from eval.search.query_set import QuerySet, sample
from features.data.interactions import DAY
from features.errors import DataError
from features.names import CART, CLICK, PURCHASE, SEARCH_EVENTS
from features.text.plain import counted

if TYPE_CHECKING:
    from features.data.queries import Queries

LEVELS = {CLICK: 1.0, CART: 2.0, PURCHASE: 3.0}  # ratings of an item; the gain is 2 ** rating - 1


def logged_queries(log: Queries, cut: int, most: int = 2000, seed: int = 0, known: set[str] | None = None) -> QuerySet:
    """Draw at most so many searches after a cut, in which something was clicked, put into the cart or bought.

    A search is a query of a user, or of all unknown visitors of a day. An item's rating is the highest of `LEVELS` that it reached, times
    how often it was chosen as a share of the search's most chosen item: a stray click among many counts little.

    Parameters
    ----------
    cut : seconds since the epoch
    known : users with a history before the cut, for slices

    Raises
    ------
    DataError
        Nothing was clicked or bought after the cut.
    """
    after = log.between(cut, None)
    level = np.array([LEVELS.get(event, 0.0) for event in SEARCH_EVENTS])[after.event]
    chosen = np.flatnonzero((level > 0) & (after.item >= 0))
    if not len(chosen):
        raise DataError(
            f"the search log has {counted(len(after), 'row')} after the cut, and no click or purchase: log them, or judge queries"
        )
    # A user is one searcher; unknown visitors are one for each day, with numbers below those of users.
    day = (after.time[chosen] - cut) // DAY
    who = np.where(after.user[chosen] >= 0, after.user[chosen].astype(np.int64), -1 - day)
    shift = 1 + day.max()
    search, of_row = np.unique(after.query[chosen] * (len(log.user_ids) + shift) + who + shift, return_inverse=True)
    drawn = sample(np.arange(len(search)), most, seed)
    place = np.full(len(search), -1, dtype=np.int64)
    place[drawn] = np.arange(len(drawn))
    here = np.flatnonzero(place[of_row] >= 0)
    judgments = _rated(place[of_row[here]], after.item[chosen[here]], level[chosen[here]], len(drawn), log.n_items)
    first = np.full(len(drawn), -1, dtype=np.int64)
    first[place[of_row[here]]] = chosen[here]
    queries = log.texts[after.query[first]].tolist()
    users = [str(log.user_ids[user]) if user >= 0 else None for user in after.user[first].tolist()]
    found = QuerySet("log", tuple(queries), tuple(users), judgments)
    before = log.between(None, cut)
    counts = {} if not len(before) else dict(before.counts().select("query", "searches").iter_rows())
    slices = (head_and_tail(queries, counts) if counts else {}) | known_users(users, known or set())
    return found.with_slices(slices, "clicks favour the engine that showed the list")


def _rated(query: np.ndarray, item: np.ndarray, level: np.ndarray, n_queries: int, n_items: int) -> Judgments:
    """Return the judgments of chosen rows: the highest level of a pair, times its share of the query's most chosen item."""
    pairs, of_row = np.unique(query * np.int64(n_items) + item, return_inverse=True)
    highest, times = np.zeros(len(pairs)), np.bincount(of_row)
    np.maximum.at(highest, of_row, level)
    most = np.zeros(n_queries)
    np.maximum.at(most, pairs // n_items, times)
    return Judgments.of(pairs // n_items, pairs % n_items, highest * times / most[pairs // n_items], n_queries, n_items)
