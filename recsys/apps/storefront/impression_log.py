"""What the impressions say: the log for off-policy evaluation, and how often items are clicked apart from where they stood."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from eval.off_policy.log import KEYS
from features.behavior.click_propensities import ClickPropensities
from features.data.queries import NONE, Queries
from features.errors import DataError
from features.names import CART, CLICK, ITEM_ID, PURCHASE, SEARCH_EVENTS, SHOWN, USER_ID, VALUE
from features.text.closest import did_you_mean
from recsys.workspace.impression_columns import ACTION_NAME, CONTEXT, IMPRESSION_ID, PAGE, PAGE_ROW, POSITION, PROPENSITY, REWARD, TIME

if TYPE_CHECKING:
    from recsys.workspace.impressions import ImpressionStore

REVENUE = "revenue"
PRIOR = 20.0  # examinations at the mean rate that each item's rate is shrunk with
_LOG = (IMPRESSION_ID, POSITION, ITEM_ID, PROPENSITY, REWARD, USER_ID, CONTEXT)
_NOTHING = "nothing was shown yet: pages of `POST /v1/page` are stored as they are served"


def off_policy_log(store: ImpressionStore, reward: str = CLICK, since: int = 0, arm: tuple[str, str] | None = None) -> pl.DataFrame:
    """Return the impressions in the form that `eval.off_policy.log.read_log` reads, with one reward a place; without rows turned over.

    Parameters
    ----------
    reward : an action's name: 1 where it was done, however often; "revenue": what was paid.
    since : seconds since the epoch, of the page.
    arm : names of an experiment and its arm, whose pages alone are returned.

    Raises
    ------
    DataError
        Nothing was shown, no page was in the arm, or nothing of this reward's name can be done.
    """
    if arm is not None and arm not in (known := store.arms(since)):
        shown = ", ".join(f"{one} of {experiment}" for experiment, one in known)
        raise DataError(f"no page was in arm {arm[1]!r} of experiment {arm[0]!r}: known are {shown or 'none'}")
    # What a row shows when it is turned over depends on what it showed before, and has no propensity of its own.
    places, actions = store.frame(since, arm).filter(pl.col(POSITION).min().over(IMPRESSION_ID) == 1), store.actions(since)
    if places.is_empty():
        raise DataError(_nothing(store, since))
    names = {CLICK, CART, PURCHASE, REVENUE, *actions[ACTION_NAME].unique()}
    if reward not in names:
        raise DataError(f"nobody did {reward!r} with what was shown{did_you_mean(reward, names)}: known are {', '.join(sorted(names))}")
    if reward == REVENUE:
        earned = actions.filter(pl.col(ACTION_NAME) == PURCHASE).group_by(IMPRESSION_ID, POSITION).agg(pl.col(VALUE).sum().alias(REWARD))
    else:
        done = actions.filter(pl.col(ACTION_NAME) == reward).select(*KEYS).unique()
        earned = done.with_columns(pl.lit(1.0).alias(REWARD))
    context = pl.concat_str(PAGE, PAGE_ROW, pl.when(pl.col(CONTEXT) != "").then(CONTEXT), separator="|", ignore_nulls=True)
    joined = places.join(earned, on=[*KEYS], how="left", maintain_order="left")
    return joined.with_columns(pl.col(REWARD).fill_null(0.0), context.alias(CONTEXT)).select(_LOG)


def click_rates(store: ImpressionStore, since: int = 0) -> tuple[pl.DataFrame, ClickPropensities]:
    """Return how often each item is clicked where it is looked at, the highest first, and how often each place is.

    Places lower down are looked at less, so an item that stood there has few clicks for that alone. How often is estimated from items that
    stood in several places of one row (`features.behavior.click_propensities`); a rate is clicks / looks, shrunk to the mean of all items.

    Returns
    -------
    frame : item_id, shown, clicks, click_rate, looks (expected number of times it was looked at), debiased_click_rate.

    Raises
    ------
    DataError
        Nothing was shown.
    """
    places, actions = store.frame(since), store.actions(since).filter(pl.col(ACTION_NAME) == CLICK)
    if places.is_empty():
        raise DataError(_nothing(store, since))
    clicked = actions.select(*KEYS).unique().with_columns(pl.lit(1).alias("clicks"))
    rows = places.join(clicked, on=[*KEYS], how="left", maintain_order="left").with_columns(pl.col("clicks").fill_null(0))
    found = ClickPropensities.estimate(_as_searches(rows))
    looked = pl.Series(found.of(rows[POSITION].to_numpy()))
    items = (
        rows.with_columns(looked.alias("looks"))
        .group_by(ITEM_ID)
        .agg(pl.len().alias("shown"), pl.col("clicks").sum(), pl.col("looks").sum())
        .with_columns(click_rate=pl.col("clicks") / pl.col("shown"))
    )
    mean = float(items["clicks"].to_numpy().sum() / items["looks"].to_numpy().sum())
    rate = (pl.col("clicks") + PRIOR * mean) / (pl.col("looks") + PRIOR)
    best = items.with_columns(debiased_click_rate=rate).sort("debiased_click_rate", ITEM_ID, descending=[True, False])
    return best.select(ITEM_ID, "shown", "clicks", "click_rate", "looks", "debiased_click_rate"), found


def _nothing(store: ImpressionStore, since: int) -> str:
    latest = store.latest()
    if latest is None or latest >= since:
        return _NOTHING
    return f"nothing was shown since then: the latest page is of {datetime.fromtimestamp(latest, UTC):%Y-%m-%d}"


def _as_searches(rows: pl.DataFrame) -> Queries:
    """Return places and clicks as a search log, whose queries are the rows of the pages: an item attracts alike in one row."""
    texts, query = np.unique(rows.select(pl.concat_str(PAGE, PAGE_ROW, separator="|")).to_series().to_numpy(), return_inverse=True)
    ids, item = np.unique(rows[ITEM_ID].to_numpy(), return_inverse=True)
    order = np.argsort(rows[TIME].to_numpy(), kind="stable")
    clicked = order[rows["clicks"].to_numpy()[order] > 0]
    both = np.concatenate([order, clicked])
    event = np.repeat([SEARCH_EVENTS.index(SHOWN), SEARCH_EVENTS.index(CLICK)], [len(order), len(clicked)])
    by_time = np.argsort(rows[TIME].to_numpy()[both], kind="stable")
    both, event = both[by_time], event[by_time]
    return Queries(
        texts=texts.astype(object),
        user_ids=np.empty(0, dtype=object),
        query=query[both].astype(np.int32),
        user=np.full(len(both), NONE, dtype=np.int32),
        item=item[both].astype(np.int32),
        time=rows[TIME].to_numpy()[both].astype(np.int64),
        event=event.astype(np.int8),
        rank=rows[POSITION].to_numpy()[both].astype(np.int32),
        n_items=len(ids),
    )
