"""The chance that a customer responds to an offer: a binary booster over what was known before it was sent, calibrated.

A response is a redemption within some days. Where nothing was ever redeemed, it is a purchase of what the offer is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar, Literal, Self

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from features.behavior.campaigns import SEND_FEATURES, seconds
from features.behavior.purchase_days import calendar_of
from features.data.interactions import DAY
from features.names import CAMPAIGN_ID, CATEGORY, HOLDOUT, ITEM_ID, OFFER, REDEEMED_AT, SENT_AT, USER_ID
from ranking.outcomes.boosters import Boosters, fit_boosters

if TYPE_CHECKING:
    from datetime import datetime

    from features.behavior.campaigns import SendHistory

Kind = Literal["redeemed", "bought"]
_WINDOWS = 3  # past moments of customers who were not written to


class ResponseConfig(BaseModel):
    """What is learned from, and LightGBM's parameters; few leaves, because campaigns have hundreds of responses, not thousands.

    Attributes
    ----------
    days : after sending, within which a response counts.
    moments : days on which something was sent that are learned from, at most, the newest first.
    least : sends with a known outcome, below which nothing is learned; and of each outcome a fifth of that.
    folds : parts of the customers; boosters that have not seen a part calibrate on it.
    features, rows : fraction of the features and of the rows that each tree sees.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    leaf_parts: ClassVar[int] = 20
    days: int = Field(default=28, ge=1)
    moments: int = Field(default=40, ge=1)
    least: int = Field(default=100, ge=20)
    folds: int = Field(default=5, ge=2)
    rounds: int = Field(default=80, ge=1)
    learning_rate: float = Field(default=0.05, gt=0)
    leaves: int = Field(default=4, ge=2)
    min_leaf: int = Field(default=30, ge=1)
    features: float = Field(default=0.4, gt=0, le=1)
    rows: float = Field(default=0.7, gt=0, le=1)
    l2: float = Field(default=10.0, ge=0)


@dataclass(frozen=True)
class PastSends:
    """What was sent, or might have been, and what was known of it before.

    Attributes
    ----------
    frame : `campaign_id`, `user_id`, `offer`, `item_id`, `category`, `sent_at`, `holdout`, and `responded`, whether within the days.
    x : float32 (n, features), `SEND_FEATURES` at the start of the day.
    """

    frame: pl.DataFrame
    x: np.ndarray

    def __len__(self) -> int:
        return self.frame.height

    def where(self, mask: np.ndarray) -> Self:
        """Select the rows where `mask`, bool (n,), is true."""
        return type(self)(self.frame.filter(pl.Series(mask)), self.x[mask])

    @property
    def user(self) -> np.ndarray:
        """The customer of each row, object (n,)."""
        return self.frame[USER_ID].to_numpy()

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the features."""
        return SEND_FEATURES

    @property
    def responded(self) -> np.ndarray:
        """Whether each customer responded within the days, bool (n,)."""
        return self.frame["responded"].to_numpy()

    def known_at(self, moment: datetime, days: int) -> Self:
        """Select what was sent so long before a moment that its outcome is known by then."""
        return self.where((self.frame[SENT_AT] <= moment - timedelta(days=days)).to_numpy())


def past_sends(
    history: SendHistory, before: datetime, config: ResponseConfig, kind: Kind = "redeemed", campaign: str | None = None
) -> PastSends:
    """Return what was sent before a moment, the holdout too, with what was known of it at the start of the day.

    Parameters
    ----------
    campaign : only this one.
    """
    table = history.campaigns.before(before).frame.with_columns(_day=pl.col(SENT_AT).dt.truncate("1d"))
    if campaign is not None:
        table = table.filter(pl.col(CAMPAIGN_ID) == campaign)
    days = table["_day"].unique().sort().tail(config.moments).to_list()
    frames, parts = [], []
    for day in days:
        rows = table.filter(pl.col("_day") == day)
        parts.append(history.at(rows, day))
        if kind == "redeemed":
            within = ((pl.col(REDEEMED_AT) - pl.col(SENT_AT)) <= pl.duration(days=config.days)).fill_null(value=False)
            frames.append(rows.with_columns(responded=within))
        else:
            bought = history.bought(rows, seconds(day), seconds(day) + config.days * DAY)
            frames.append(rows.with_columns(responded=pl.Series(bought, dtype=pl.Boolean)))
    names = (CAMPAIGN_ID, USER_ID, OFFER, ITEM_ID, CATEGORY, SENT_AT, HOLDOUT, "responded")
    if not frames:
        return PastSends(table.with_columns(responded=pl.lit(value=False)).select(names), np.zeros((0, len(SEND_FEATURES)), np.float32))
    return PastSends(pl.concat(frames).select(names), np.concatenate(parts))


def possible_sends(history: SendHistory, offers: pl.DataFrame, before: datetime, config: ResponseConfig) -> PastSends:
    """Return all customers at past moments, as if they had been sent offers, and whether they bought what those are for.

    Parameters
    ----------
    offers : `offer`, `item_id`, `category`.
    """
    frames, parts = [], []
    names = (CAMPAIGN_ID, USER_ID, OFFER, ITEM_ID, CATEGORY, SENT_AT, HOLDOUT, "responded")
    for back in range(1, _WINDOWS + 1):
        day = before - timedelta(days=back * config.days)
        users = history.log.user_ids[np.unique(history.log.user[calendar_of(history.log) < seconds(day)])]
        rows = pl.DataFrame({USER_ID: users}, schema={USER_ID: pl.String}).join(offers.select(OFFER, ITEM_ID, CATEGORY), how="cross")
        rows = rows.with_columns(
            pl.lit(f"{day:%Y-%m-%d}").alias(CAMPAIGN_ID), pl.lit(day).alias(SENT_AT), pl.lit(value=False).alias(HOLDOUT)
        )
        bought = history.bought(rows, seconds(day), seconds(day) + config.days * DAY)
        frames.append(rows.with_columns(responded=pl.Series(bought, dtype=pl.Boolean)).select(names))
        parts.append(history.at(rows, day))
    return PastSends(pl.concat(frames), np.concatenate(parts))


@dataclass(frozen=True)
class ResponseModel:
    """Boosters of the log odds, and the line that calibrates their mean.

    Attributes
    ----------
    slope, intercept : of the calibrated log odds (Platt 1999): campaigns have too few responses for a free monotone map.
    spread : relative standard deviation of responses over expected ones from campaign to campaign; nan where it cannot be told.
    sends, responses : that were learned from.
    """

    boosters: Boosters
    slope: float
    intercept: float
    spread: float
    sends: int
    responses: int

    @classmethod
    def fit(cls, past: PastSends, config: ResponseConfig, seed: int) -> Self:
        """Fit on sends whose outcome is known; `why_not` says whether they are enough."""
        y = past.responded.astype(np.float64)
        boosters, out_of_fold = fit_boosters(past, y.astype(np.float32), {"objective": "binary"}, config, seed)
        slope, intercept = _line(out_of_fold, y)
        spread = _spread(past.frame[CAMPAIGN_ID].to_numpy(), y, _logistic(slope * out_of_fold + intercept))
        return cls(boosters, slope, intercept, spread, len(y), int(y.sum()))

    def chance(self, x: np.ndarray) -> np.ndarray:
        """Return the chance of a response of rows (n, features), float64 (n,)."""
        return _logistic(self.slope * self.boosters.raw(x) + self.intercept)


def why_not(past: PastSends, config: ResponseConfig) -> str:
    """Return why a model cannot be fitted; empty if it can."""
    responses = int(past.responded.sum())
    least = config.least // 5
    if len(past) < config.least:
        return f"{len(past):,} sends have a known outcome, expected {config.least:,}"
    if min(responses, len(past) - responses) < least:
        return f"{responses:,} of {len(past):,} responded, expected {least:,} who did and {least:,} who did not"
    return ""


def _logistic(log_odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(log_odds, -30, 30)))


def _line(raw: np.ndarray, y: np.ndarray) -> tuple[float, float]:
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=100.0).fit(raw[:, None], y)
    slope = float(model.coef_[0, 0])
    if slope > 0:
        return slope, float(model.intercept_[0])
    rate = float(y.mean())  # the boosters found nothing: everybody has the common chance
    return 0.0, float(np.log(rate / (1 - rate)))


def _spread(campaigns: np.ndarray, y: np.ndarray, expected: np.ndarray) -> float:
    """Return the standard deviation over campaigns of responses / expected, less what chance adds, at least 0."""
    _, code = np.unique(campaigns, return_inverse=True)
    sums = [np.bincount(code, weights) for weights in (y, expected, expected * (1 - expected))]
    large = sums[1] >= 5  # expected responses, below which the ratio says nothing
    if large.sum() < 3:  # campaigns
        return float("nan")
    actual, said, noise = (column[large] for column in sums)
    variance = np.average((actual / said - 1) ** 2 - noise / said**2, weights=said)
    return float(np.sqrt(max(variance, 0.0)))
