"""Buy again: the items of a user's history that are due, by the usual gap between purchases of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field
from safetensors.numpy import save

from features.data.interactions import DAY
from features.data.shop_profile import ShopProfile
from features.data.split import LABEL_EVENTS
from features.names import DUE_CHANCE, DUE_IN_DAYS, NEXT_IN_DAYS
from features.storage.arrays import arrays_of
from retrieval.candidates import Candidates
from retrieval.related.purchases import PurchaseGaps
from retrieval.related.survival import RATIOS, last_share, survival, survival_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.data.histories import Histories
    from features.data.interactions import Interactions

_GIVEN_UP = 0.002  # share of gaps that never end, so that a time longer than all gaps of the log promises nothing
_LATE = 30 / DAY  # ages are float32: half a minute, so that a purchase at midnight stays on its day


class BuyAgainConfig(BaseModel):
    """Parameters of buying again; docs/decisions/112 has their tuning.

    Attributes
    ----------
    item_prior, category_prior : float
        Gaps of the category that an item's own are mixed with, and of the shop that a category's are mixed with.
    own_prior : float
        Gaps of the item that a user's own are mixed with.
    quantile : float
        Of the time until the next purchase, given that it comes within `horizon` days: the date that is expected.
    horizon : float
        See `quantile`.
    within : float
        Days of the chance that an item is bought.
    least : float
        Chance from which an item is retrieved: neither bought just now nor given up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    item_prior: float = Field(default=5.0, ge=0)
    category_prior: float = Field(default=20.0, ge=0)
    own_prior: float = Field(default=4.0, gt=0)
    quantile: float = Field(default=0.4, gt=0, lt=1)
    horizon: float = Field(default=56.0, gt=0)
    within: float = Field(default=7.0, gt=0)
    least: float = Field(default=0.02, ge=0, lt=1)


@dataclass(frozen=True)
class Due:
    """When users will buy items of their history again, one entry a user and an item.

    Attributes
    ----------
    user, item : int64 (m,)
    due_in : float32 (m,)
        Days until the usual gap is over; below 0: overdue.
    next_in : float32 (m,)
        Days until the purchase is expected, given that it has not come yet.
    chance : float32 (m,)
        That it comes within the days of `BuyAgainConfig.within`.
    """

    user: np.ndarray
    item: np.ndarray
    due_in: np.ndarray
    next_in: np.ndarray
    chance: np.ndarray


@dataclass(frozen=True)
class BuyAgain:
    """Usual gaps, and how the gaps of a log spread around them. Implements `Retriever`.

    Gaps are measured in usual ones: the mean logarithm of the user's own, mixed with that of the item, which is mixed with that of its
    category. How many of them such a ratio outlives is counted from the log (Kaplan-Meier, so that the gaps that have not ended count),
    apart for pairs that were bought once, by the share of the item's buyers who came back for it, and for pairs with more purchases.

    Attributes
    ----------
    gap : float32 (n_items,)
        Usual gap of each item in days; empty where nothing is bought again, or without a calendar.
    kind : int8 (n_items,)
        Quartile of the share of buyers who came back.
    survival : float32 (kinds, len(RATIOS))
        Share of gaps that are longer than a ratio.
    config : BuyAgainConfig
    """

    gap: np.ndarray
    kind: np.ndarray
    survival: np.ndarray
    config: BuyAgainConfig

    @classmethod
    def nothing(cls) -> Self:
        """Return that of a shop in which nobody buys again."""
        return cls(np.zeros(0, np.float32), np.zeros(0, np.int8), np.zeros((0, len(RATIOS)), np.float32), BuyAgainConfig())

    @classmethod
    def fit(cls, log: Interactions, category: np.ndarray, now: int, config: BuyAgainConfig | None = None) -> Self:
        """Fit on the purchases before `now`, in seconds since the epoch; `category` has a code for each item, -1 for none."""
        config = config or BuyAgainConfig()
        log = log.between(None, now).capped()
        if log.moments is None or not ShopProfile.of(log).buys_again:
            return cls.nothing()
        bought = np.isin(log.event, LABEL_EVENTS)
        gaps = PurchaseGaps.of(log.user[bought], log.item[bought], log.moments[bought] // DAY)
        item, ended = gaps.item, ~gaps.last
        if not ended.any():
            return cls.nothing()
        gap = _usual_gaps(item[ended], np.log(gaps.gap[ended]), category, config)
        kind = _quartiles(item, gaps.number, log.n_items)
        made = cls(np.exp(gap).astype(np.float32), kind, np.zeros((0, len(RATIOS)), np.float32), config)
        usual = made._usual(gaps)
        lasted = np.where(ended, gaps.gap, np.maximum((now - 1) // DAY - gaps.day, 0))
        table = survival(lasted / usual, ended, made._stratum(gaps), _STRATA)
        return cls(made.gap, made.kind, table, config)

    def due(self, users: Histories) -> Due:
        """Return what is known of all items that users have bought."""
        bought, days = users.purchases, users.purchases.days
        known = np.isfinite(days)
        if not len(self.gap) or not known.any():
            none, empty = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.float32)
            return Due(none, none, empty, empty, empty)
        today = users.now / DAY
        gaps = PurchaseGaps.of(bought.user[known], bought.item[known], np.floor(today - days[known].astype(np.float64) + _LATE))
        usual, stratum = self._usual(gaps), self._stratum(gaps)
        last = np.flatnonzero(gaps.last)
        user, item, usual, stratum = gaps.user[last], gaps.item[last], usual[last], stratum[last]
        since = np.maximum(today - gaps.day[last] - 0.5, 0)  # a purchase day counts from its noon
        alive = survival_at(self.survival, stratum, since / usual)
        soon = alive - survival_at(self.survival, stratum, (since + self.config.within) / usual)
        chance = soon / (alive + _GIVEN_UP)
        beyond = survival_at(self.survival, stratum, (since + self.config.horizon) / usual)
        ratio = last_share(self.survival, stratum, alive - self.config.quantile * (alive - beyond))
        # Where no gap of the log lasted as long, nothing is known: the same part of the horizon.
        next_in = np.where(alive > beyond, ratio * usual - since, self.config.quantile * self.config.horizon)
        columns = (usual - since, np.clip(next_in, 0, self.config.horizon), np.clip(chance, 0, 1))
        return Due(user, item, *(column.astype(np.float32) for column in columns))

    def retrieve(self, users: Histories, k: int, allowed: np.ndarray | None = None) -> Candidates:
        """Return at most k items by the chance that they are bought within the next days. See `Retriever`."""
        found = self.due(users)
        eligible = found.chance >= self.config.least
        if allowed is not None:
            eligible &= allowed[found.item] if allowed.ndim == 1 else allowed[found.user, found.item]
        chosen = np.flatnonzero(eligible)
        chosen = chosen[np.lexsort((found.item[chosen], -found.chance[chosen], found.user[chosen]))]
        user = found.user[chosen]
        place = np.arange(len(user)) - np.searchsorted(user, user)
        chosen, user, place = chosen[place < k], user[place < k], place[place < k]
        rows = np.full((len(users), k), -1, dtype=np.int64)
        rows[user, place] = found.item[chosen]
        features = {}
        for name, column in {DUE_CHANCE: found.chance, DUE_IN_DAYS: found.due_in, NEXT_IN_DAYS: found.next_in}.items():
            features[name] = np.full((len(users), k), np.nan, dtype=np.float32)
            features[name][user, place] = column[chosen]
        scores = np.where(rows >= 0, features[DUE_CHANCE], -np.inf).astype(np.float32)
        return Candidates(users, rows, scores, features)

    def _usual(self, gaps: PurchaseGaps) -> np.ndarray:
        """Return the usual gap of each pair as it was known on each of its days, in days, float64 (m,)."""
        prior = self.config.own_prior
        return np.exp((gaps.known + prior * np.log(self.gap.astype(np.float64)[gaps.item])) / (gaps.number + prior))

    def _stratum(self, gaps: PurchaseGaps) -> np.ndarray:
        """Return which survival curve holds for each day of each pair, int64 (m,)."""
        again = len(_QUARTILES) + np.searchsorted(_GAPS, gaps.number, side="right")
        return np.where(gaps.number == 0, self.kind[gaps.item], again).astype(np.int64)

    def to_files(self) -> dict[str, bytes]:
        """Return the arrays in safetensors and the configuration in JSON."""
        arrays = {"gap": self.gap, "kind": self.kind, "survival": self.survival}
        return {"buy_again.safetensors": save(arrays), "buy_again.json": self.config.model_dump_json().encode()}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Self:
        """Read the files of `to_files`."""
        return cls(**arrays_of(files, "buy_again.safetensors"), config=BuyAgainConfig.model_validate_json(files["buy_again.json"]))


_QUARTILES = (0.25, 0.5, 0.75)
_GAPS = np.array([1, 2, 4, 8])  # own gaps from which a curve of its own holds
_STRATA = len(_QUARTILES) + 1 + len(_GAPS)


def _usual_gaps(item: np.ndarray, logs: np.ndarray, category: np.ndarray, config: BuyAgainConfig) -> np.ndarray:
    """Return the mean logarithm of the gaps of each item, mixed with its category's, float64 (n_items,)."""
    code = category.astype(np.int64) + 1
    n, n_codes, shop = len(category), int(code.max(initial=0)) + 1, float(logs.mean())
    sums, counts = np.bincount(code[item], logs, minlength=n_codes), np.bincount(code[item], minlength=n_codes)
    of_category = np.where(counts > 0, (sums + config.category_prior * shop) / np.maximum(counts + config.category_prior, 1e-9), shop)
    sums, counts = np.bincount(item, logs, minlength=n), np.bincount(item, minlength=n)
    mixed = (sums + config.item_prior * of_category[code]) / np.maximum(counts + config.item_prior, 1e-9)
    return np.where(counts + config.item_prior > 0, mixed, of_category[code])


def _quartiles(item: np.ndarray, number: np.ndarray, n_items: int) -> np.ndarray:
    """Return the quartile of each item by the share of its buyers who came back, int8 (n_items,), over all pairs of the log."""
    buyers, back = np.bincount(item[number == 0], minlength=n_items), np.bincount(item[number == 1], minlength=n_items)
    share = (back + 5 * back.sum() / max(buyers.sum(), 1)) / (buyers + 5)
    return np.searchsorted(np.quantile(share[item[number == 0]], _QUARTILES), share, side="right").astype(np.int8)
