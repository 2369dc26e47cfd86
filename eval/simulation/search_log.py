"""A search log over what households really bought: who searches when, what is shown, and the clicks of `eval.simulation.click_model`.

Before a household buys items of a product type on a day, it searches for that type. An engine shows a list, and the household looks at its
places from the top, clicks what it will buy with one probability and anything else with a small one. What it bought is the truth; the log
holds the clicks alone, so it has the position bias and the noise of a real one, and both are known. Such a log tests methods of learning
from clicks. It says nothing of how customers type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from eval.metrics.judged import Judgments
from eval.metrics.user_items import UserItems
from eval.search.personal import FORMS
from eval.search.product_types import ProductTypes
from eval.search.query_set import QuerySet, sample
from eval.simulation.click_model import attraction, examined
from features.data.interactions import DAY, LABEL_EVENTS
from features.errors import DataError
from features.names import CLICK, EVENT, ITEM_ID, PURCHASE, QUERY, RANK, SHOWN, TIMESTAMP, USER_ID

if TYPE_CHECKING:
    from eval.search.query_set import SearchRun
    from eval.simulation.config import SearchLogConfig
    from features.data.catalog import Catalog
    from features.data.interactions import Interactions

WEEK = 7 * DAY
WAYS = 10  # to misspell, shorten or re-order the same words
BEFORE = 600  # seconds from a search to the purchase
# Seconds since the epoch -> the engine of the shop at that time, which may have seen what lies before it.
EngineAt = Callable[[int], "SearchRun"]


@dataclass(frozen=True)
class Searches:
    """What households search for, in order of time.

    Attributes
    ----------
    queries : object (n,), as typed
    users : object (n,), external ids; None where the log will not know them
    time : int64 (n,), seconds since the epoch
    bought : what each search is after, and who bought it: the truth
    """

    queries: np.ndarray
    users: np.ndarray
    time: np.ndarray
    bought: UserItems

    @classmethod
    def of(cls, log: Interactions, catalog: Catalog, config: SearchLogConfig) -> Searches:
        """Make a search of each user, day and product type bought on it; of all these, `config.searches` are drawn.

        Parameters
        ----------
        log : what lies in the weeks of the search log

        Raises
        ------
        DataError
            Nothing in these weeks has a product type.
        """
        types = ProductTypes.of(catalog)
        events = np.flatnonzero(np.isin(log.event, LABEL_EVENTS) & (types.of_item[log.item] >= 0))
        if not len(events):
            raise DataError("nothing was bought in these weeks that has a category: give items categories, or choose other weeks")
        day, kind = log.time[events] // DAY, types.of_item[log.item[events]].astype(np.int64)
        visit = (log.user[events].astype(np.int64) * (day.max() + 1) + day) * len(types.words) + kind
        first, search = np.unique(visit, return_index=True, return_inverse=True)[1:]
        by_time = np.argsort(log.time[events[first]], kind="stable")
        chosen = by_time[sample(np.arange(len(first)), config.searches, config.seed)]
        place = np.full(len(first), -1, dtype=np.int64)
        place[chosen] = np.arange(len(chosen))
        held = place[search] >= 0
        at = events[first[chosen]]
        rng = np.random.default_rng(config.seed)
        words = [types.words[row] for row in kind[first[chosen]].tolist()]
        users = log.user_ids[log.user[at]]
        users[rng.random(len(at)) < config.anonymous] = None
        bought = UserItems.of(place[search[held]], log.item[events[held]], len(chosen), len(catalog))
        return cls(_typed(words, rng, config), users, log.time[at] - BEFORE, bought)

    def query_set(self) -> QuerySet:
        """Return the searches with what was really bought as relevant, to judge what was learned from an earlier log."""
        return QuerySet("simulated", tuple(self.queries), tuple(self.users), Judgments.binary(self.bought))


def search_log(searches: Searches, catalog: Catalog, engine_at: EngineAt, config: SearchLogConfig) -> pl.DataFrame:
    """Return the log of lists shown and clicked: timestamp, query, item_id, event (shown, click, purchase), rank, user_id.

    The engine is that of the beginning of each week, so that an item does not always stand in the same place.
    """
    rng = np.random.default_rng(config.seed + 1)
    shown = _shown(searches, engine_at, config.places)
    seen = rng.random(shown.shape) < examined(config.places, config.clicks)
    clicked = seen & (rng.random(shown.shape) < attraction(shown, searches.bought, config.clicks))
    events = {SHOWN: (shown >= 0, 0), CLICK: (clicked, 20), PURCHASE: (clicked & searches.bought.hits(shown), BEFORE)}
    parts = [_rows(searches, shown, *mask, catalog).with_columns(pl.lit(event).alias(EVENT)) for event, mask in events.items()]
    order = (TIMESTAMP, QUERY, ITEM_ID, EVENT, RANK, USER_ID)
    return pl.concat(parts).sort(TIMESTAMP, QUERY, USER_ID, RANK, maintain_order=True).select(order)


def _rows(searches: Searches, shown: np.ndarray, mask: np.ndarray, seconds: int, catalog: Catalog) -> pl.DataFrame:
    """Return the log's rows of some places of the lists, without their event, so many seconds after the search."""
    search, place = np.nonzero(mask)
    return pl.DataFrame(
        {
            TIMESTAMP: pl.from_epoch(pl.Series(searches.time[search] + seconds), "s").cast(pl.Datetime("us")),
            QUERY: pl.Series(searches.queries[search].tolist(), dtype=pl.String),
            ITEM_ID: pl.Series(catalog.ids[shown[search, place]].tolist(), dtype=pl.String),
            RANK: pl.Series(place + 1, dtype=pl.Int32),
            USER_ID: pl.Series(searches.users[search].tolist(), dtype=pl.String),  # an array that begins with None would stay objects
        }
    )


def _shown(searches: Searches, engine_at: EngineAt, places: int) -> np.ndarray:
    """Return the list that each search is shown, int64 (n, places): the engine of its week, asked once for each query."""
    out = np.full((len(searches.queries), places), -1, dtype=np.int64)
    start = int(searches.time.min()) if len(searches.time) else 0
    week = (searches.time - start) // WEEK
    for number in np.unique(week).tolist():
        here = np.flatnonzero(week == number)
        texts, of = np.unique(searches.queries[here].astype(str), return_inverse=True)
        out[here] = engine_at(start + number * WEEK)(texts.tolist(), [None] * len(texts), places)[of]
    return out


def _typed(words: list[str], rng: np.random.Generator, config: SearchLogConfig) -> np.ndarray:
    """Return the words as customers type them, object (n,): in the forms and shares of the settings."""
    makers = list(FORMS.values())
    form = rng.choice(len(makers), size=len(words), p=config.forms)
    way = rng.integers(WAYS, size=len(words)) + config.seed
    typed = list(zip(words, form.tolist(), way.tolist(), strict=True))
    made = {one: makers[one[1]](one[0], one[2]) or one[0] for one in dict.fromkeys(typed)}
    return np.array([made[one] for one in typed], dtype=object)
