"""What the models of customers and their baselines would have said at past moments, each fitted on what lay before it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from eval.baselines.customers.bg_nbd import BgNbd
from eval.baselines.customers.gamma_gamma import GammaGamma
from eval.baselines.customers.mean_gap import MeanGap
from eval.baselines.customers.rfm import RfmRegression
from eval.baselines.customers.summary import PurchaseSummary
from features.behavior.purchase_days import PurchaseDays
from features.data.interactions import DAY
from features.names import GAP_MEAN, OVERDUE, PURCHASE_DAYS, RECENCY, SPEND, SPEND_PER_DAY
from ranking.outcomes.customer_models import MONTH, QUARTER, fit_month, fit_quarter
from ranking.outcomes.examples import MODEL_FEATURES, examples

if TYPE_CHECKING:
    from features.behavior.user import UserFeatures
    from ranking.outcomes.config import OutcomeConfig
    from ranking.outcomes.examples import PastCustomers

OURS, BG_NBD, RFM, LAST_90, MEAN_GAP = "ours", "bg_nbd", "rfm_regression", "last_90_days", "mean_gap"
_RFM = (RECENCY, PURCHASE_DAYS, SPEND_PER_DAY)
_PLACES = [MODEL_FEATURES.index(name) for name in _RFM]


@dataclass
class Rows:
    """Customers at past moments, what they did, and what each system said of them.

    Attributes
    ----------
    user, cut : int64 (n,), user row and index of the moment.
    actual : what the customers did, by name, float (n,).
    said : what each system said, by (system, name), float (n,).
    settings : what was chosen for a baseline at the newest moment.
    missing : why our models could not be fitted, at the moments that are left out.
    """

    user: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    cut: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    actual: dict[str, np.ndarray] = field(default_factory=dict)
    said: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.user)

    def add(self, users: np.ndarray, cut: int, actual: dict[str, np.ndarray], said: dict[tuple[str, str], np.ndarray]) -> None:
        """Append the customers of one moment."""
        self.user = np.concatenate([self.user, users])
        self.cut = np.concatenate([self.cut, np.full(len(users), cut)])
        self.actual = {key: np.concatenate([self.actual.get(key, np.zeros(0)), values]) for key, values in actual.items()}
        self.said = {key: np.concatenate([self.said.get(key, np.zeros(0)), values]) for key, values in said.items()}


def cuts_of(past: PastCustomers, end: int, days: int, most: int) -> list[int]:
    """Return weekly moments, newest first, whose `days` of outcomes lie before `end`."""
    newest = end - days * DAY
    return [] if past.start is None else [cut for cut in (newest - 7 * i * DAY for i in range(most)) if cut > past.start]


def add_month(rows: Rows, past: PastCustomers, cut: int, index: int, fit: tuple[OutcomeConfig, int]) -> None:
    """Append who buys within 28 days of a moment, and what each system says before it."""
    config, seed = fit
    model, why = fit_month(past, cut, config, seed)
    data = examples(past, cut, MONTH, config)
    if model is None or data is None:
        rows.missing.append(why)
        return
    features, (_, wait) = past.at(cut), past.outcome(cut, MONTH)
    regression = RfmRegression.tuned(data.x[:, _PLACES], data.bought, data.window)
    summary = PurchaseSummary.of(past.log, cut)
    bg_nbd = summary.of_users(features.users, BgNbd.fit(summary).chance(summary, MONTH), 0)
    said = {
        (OURS, "chance"): model.chance(features.table(MODEL_FEATURES)),
        (BG_NBD, "chance"): bg_nbd,
        (RFM, "chance"): regression.chance(features.table(_RFM)),
    }
    rows.settings.setdefault(RFM, regression.setting)
    rows.add(features.users, index, {"bought": np.isfinite(wait)}, said)


def add_quarter(rows: Rows, past: PastCustomers, cut: int, index: int, fit: tuple[OutcomeConfig, int]) -> None:
    """Append what customers spend within 90 days of a moment and when they come back, and what each system says before it."""
    config, seed = fit
    spend_model, next_model, why = fit_quarter(past, cut, config, seed)
    data = examples(past, cut, QUARTER, config)
    if spend_model is None or next_model is None or data is None:
        rows.missing.append(why)
        return
    features, (spend, wait) = past.at(cut), past.outcome(cut, QUARTER)
    x = features.table(MODEL_FEATURES)
    low, high = spend_model.interval(x)
    gap = MeanGap.tuned(data.x[:, MODEL_FEATURES.index(GAP_MEAN)], data.x[:, MODEL_FEATURES.index(RECENCY)], data.wait)
    said = {
        (OURS, SPEND): spend_model.expected(x),
        (OURS, "low"): low,
        (OURS, "high"): high,
        (OURS, "days"): next_model.days(x),
        (OURS, "days_if_any"): next_model.days_if_any(x),
        (MEAN_GAP, "days"): gap.days(features.columns[GAP_MEAN], features.columns[RECENCY]),
        **_classic_spend(past, cut, features),
    }
    rows.settings.setdefault(MEAN_GAP, {OVERDUE: gap.rule})
    rows.add(features.users, index, {SPEND: spend, "wait": wait}, said)


def _classic_spend(past: PastCustomers, cut: int, features: UserFeatures) -> dict[tuple[str, str], np.ndarray]:
    summary = PurchaseSummary.of(past.log, cut)
    expected = BgNbd.fit(summary).expected(summary, QUARTER) * GammaGamma.fit(summary).expected(summary)
    before = PurchaseDays.of(past.log, cut, cut - QUARTER * DAY)
    return {
        (BG_NBD, SPEND): summary.of_users(features.users, expected, 0),
        (LAST_90, SPEND): before.per_user(before.value)[features.users],
    }
