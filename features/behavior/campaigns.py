"""What was known of a customer and an offer before it was sent: contacts, redemptions, and purchases of what the offer is for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.behavior.deals import DEAL_FEATURES, deal_features
from features.behavior.purchase_days import calendar_of
from features.behavior.user import FEATURES, user_features
from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from features.names import (
    CATEGORY,
    CONTACT_RECENCY,
    CONTACTS,
    CONTACTS_28,
    DISTINCT_CATEGORIES,
    HOLDOUT,
    ITEM_ID,
    OFFER,
    OFFER_CONTACTS,
    OFFER_RATE,
    OFFER_REDEMPTIONS,
    REDEEMED_AT,
    REDEMPTION_RATE,
    REDEMPTION_RECENCY,
    REDEMPTIONS,
    SENT_AT,
    TARGET_LINES,
    TARGET_RECENCY,
    TARGET_SHARE,
    USER_ID,
)

if TYPE_CHECKING:
    from datetime import datetime

    from features.data.campaigns import Campaigns
    from features.data.catalog import Catalog
    from features.data.interactions import Interactions

CAMPAIGN_FEATURES = (
    *(CONTACTS, CONTACTS_28, REDEMPTIONS, CONTACT_RECENCY, REDEMPTION_RECENCY, REDEMPTION_RATE),
    *(OFFER_RATE, OFFER_CONTACTS, OFFER_REDEMPTIONS, TARGET_SHARE, TARGET_RECENCY, TARGET_LINES),
)
# A catalogue may come without categories, and with others later.
_USER_FEATURES = tuple(name for name in FEATURES if name != DISTINCT_CATEGORIES)
SEND_FEATURES = (*_USER_FEATURES, *DEAL_FEATURES, *CAMPAIGN_FEATURES)
_PRIOR = 5.0  # contacts at the common rate that a rate starts from
_TARGET = (ITEM_ID, CATEGORY)


@dataclass(frozen=True)
class SendHistory:
    """The tables that features of sends are computed from; nothing at or after the asked moment is read."""

    log: Interactions
    catalog: Catalog
    campaigns: Campaigns

    def at(self, sends: pl.DataFrame, moment: datetime) -> np.ndarray:
        """Return `SEND_FEATURES` of customers and offers before a moment, float32 (n, features); nan where unknown.

        Parameters
        ----------
        sends : `user_id`, `offer`, `item_id`, `category`, (n,) rows.

        Raises
        ------
        DataError
            If the log has no calendar.
        """
        now = seconds(moment)
        users = self.user_rows(sends)
        # The last place stands for customers that the log lacks.
        asked = np.zeros(self.log.n_users + 1, dtype=bool)
        asked[users] = True
        # A campaign goes to few customers, and features of a customer need no other; what is usually paid for an item needs all.
        features, deals = user_features(self.log.where(asked[self.log.user]), now), deal_features(self.log, now)
        table = np.full((self.log.n_users + 1, len(_USER_FEATURES) + len(DEAL_FEATURES)), np.nan, dtype=np.float32)
        table[features.users, : len(_USER_FEATURES)] = features.table(_USER_FEATURES)
        table[:-1, len(_USER_FEATURES) :] = np.stack([deals[name] for name in DEAL_FEATURES], axis=1)
        columns = _contacts(self.campaigns.before(moment).frame, sends, moment) | self._targets(sends, users, now)
        own = np.stack([columns[name] for name in CAMPAIGN_FEATURES], axis=1).astype(np.float32)
        return np.concatenate([table[users], own], axis=1)

    def user_rows(self, sends: pl.DataFrame) -> np.ndarray:
        """Return the log's row of each customer, int64 (n,); -1 where the log has none."""
        known = sends[USER_ID].unique()
        rows = pl.DataFrame({USER_ID: known, "_row": self.log.user_rows(known.to_list())})
        return sends.select(USER_ID).join(rows, on=USER_ID, how="left", maintain_order="left")["_row"].to_numpy()

    def items_of(self, item_id: str | None, category: str | None) -> np.ndarray | None:
        """Return whether an offer is for each item, bool (n_items,); None for an offer that is for everything."""
        if item_id is not None:
            return self.catalog.ids == item_id
        if category is None:
            return None
        paths = self.catalog.frame[CATEGORY]
        wanted = [part.strip().casefold() for part in category.split("|")]
        hits = [path for path in paths.unique().drop_nulls() if _is_in(path, wanted)]
        return paths.is_in(hits).fill_null(value=False).to_numpy()

    def purchases(self, sends: pl.DataFrame, since: int, before: int) -> tuple[np.ndarray, np.ndarray]:
        """Return what customers bought of what their offers are for, or of everything where an offer is for everything.

        Parameters
        ----------
        since, before : seconds since the epoch; the second is not included.

        Returns
        -------
        bought : whether each customer did, bool (n,).
        spend : float64 (n,); lines without a value count as 0.
        """
        times, users = calendar_of(self.log), self.user_rows(sends)
        during = np.isin(self.log.event, LABEL_EVENTS) & (times >= since) & (times < before)
        paid = np.zeros(len(self.log)) if self.log.value is None else np.nan_to_num(self.log.value)
        bought, spend = np.zeros(len(users), dtype=bool), np.zeros(len(users))
        for rows, items in self._by_target(sends):
            mask = during if items is None else during & items[self.log.item]
            # The last place stands for customers that the log lacks.
            lines = np.bincount(self.log.user[mask], minlength=self.log.n_users + 1)
            bought[rows] = lines[users[rows]] > 0
            spend[rows] = np.bincount(self.log.user[mask], paid[mask], minlength=self.log.n_users + 1)[users[rows]]
        return bought, spend

    def bought(self, sends: pl.DataFrame, since: int, before: int) -> np.ndarray:
        """Return whether each customer bought, bool (n,), as `purchases`."""
        return self.purchases(sends, since, before)[0]

    def _by_target(self, sends: pl.DataFrame) -> list[tuple[np.ndarray, np.ndarray | None]]:
        groups = sends.select(_TARGET).with_row_index("_place").group_by(_TARGET, maintain_order=True).agg("_place").iter_rows()
        return [(np.array(places), self.items_of(item, category)) for item, category, places in groups]

    def _targets(self, sends: pl.DataFrame, users: np.ndarray, now: int) -> dict[str, np.ndarray]:
        """Return lines, share of all lines, and recency of purchases of what an offer is for; nan where it is for everything."""
        times = calendar_of(self.log)
        past = np.isin(self.log.event, LABEL_EVENTS) & (times < now)
        every = np.append(np.bincount(self.log.user[past], minlength=self.log.n_users), 0)
        columns = {name: np.full(len(users), np.nan) for name in (TARGET_LINES, TARGET_SHARE, TARGET_RECENCY)}
        for rows, items in self._by_target(sends):
            if items is None:
                continue
            mask = past & items[self.log.item]
            lines = np.append(np.bincount(self.log.user[mask], minlength=self.log.n_users), 0)
            last = np.full(self.log.n_users + 1, np.nan)
            np.fmax.at(last, self.log.user[mask], times[mask].astype(np.float64))
            columns[TARGET_LINES][rows] = lines[users[rows]]
            columns[TARGET_SHARE][rows] = (lines / np.maximum(every, 1))[users[rows]]
            columns[TARGET_RECENCY][rows] = (now - last[users[rows]]) / DAY
        return columns


def _is_in(path: str, wanted: list[str]) -> bool:
    """Return whether a category's path begins with the wanted one, or has it as a part."""
    parts = [part.strip().casefold() for part in path.split("|")]
    return parts[: len(wanted)] == wanted or (len(wanted) == 1 and wanted[0] in parts)


def seconds(moment: datetime) -> int:
    """Return a moment without zone, taken as UTC, in seconds since the epoch."""
    return int(pl.Series([moment], dtype=pl.Datetime("us")).dt.epoch("s")[0])


def _contacts(known: pl.DataFrame, sends: pl.DataFrame, moment: datetime) -> dict[str, np.ndarray]:
    """Return what earlier campaigns tell; the holdout was not written to and counts nowhere."""
    sent = known.filter(~pl.col(HOLDOUT))
    redeemed = pl.col(REDEEMED_AT).is_not_null()
    rate = (int(sent[REDEEMED_AT].count()) + 1) / (sent.height + 2)
    by_user = sent.group_by(USER_ID).agg(
        pl.len().alias(CONTACTS),
        (pl.col(SENT_AT) >= moment - pl.duration(days=28)).sum().alias(CONTACTS_28),
        redeemed.sum().alias(REDEMPTIONS),
        _age(SENT_AT, moment).alias(CONTACT_RECENCY),
        _age(REDEEMED_AT, moment).alias(REDEMPTION_RECENCY),
    )
    by_offer = sent.group_by(OFFER).agg(((redeemed.sum() + _PRIOR * rate) / (pl.len() + _PRIOR)).alias(OFFER_RATE))
    by_both = sent.group_by(USER_ID, OFFER).agg(pl.len().alias(OFFER_CONTACTS), redeemed.sum().alias(OFFER_REDEMPTIONS))
    counts = (CONTACTS, CONTACTS_28, REDEMPTIONS, OFFER_CONTACTS, OFFER_REDEMPTIONS)
    table = (
        sends.select(USER_ID, OFFER)
        .join(by_user, on=USER_ID, how="left", maintain_order="left")
        .join(by_offer, on=OFFER, how="left", maintain_order="left", nulls_equal=True)
        .join(by_both, on=(USER_ID, OFFER), how="left", maintain_order="left", nulls_equal=True)
        .with_columns(pl.col(counts).fill_null(0), pl.col(OFFER_RATE).fill_null(rate))
        .with_columns(((pl.col(REDEMPTIONS) + _PRIOR * rate) / (pl.col(CONTACTS) + _PRIOR)).alias(REDEMPTION_RATE))
    )
    names = [name for name in CAMPAIGN_FEATURES if name in table.columns]
    return {name: table[name].cast(pl.Float64).fill_null(float("nan")).to_numpy() for name in names}


def _age(column: str, moment: datetime) -> pl.Expr:
    return (pl.lit(moment) - pl.col(column).max()).dt.total_seconds() / DAY
