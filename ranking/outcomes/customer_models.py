"""What is expected of each customer: the chance of buying in the next 28 days, spend in the next 90, the next purchase."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.data.split import LABEL_EVENTS
from features.errors import DataError, ModelError
from features.names import CHANCE_28, NEXT_PURCHASE, SPEND, SPEND_90, SPEND_90_HIGH, SPEND_90_LOW, USER_ROW
from features.progress import silent
from ranking.outcomes.buying import BuyingModel
from ranking.outcomes.config import OutcomeConfig
from ranking.outcomes.examples import MODEL_FEATURES, PastCustomers, buyers, examples
from ranking.outcomes.next_purchase import NextPurchaseModel
from ranking.outcomes.spend import SpendModel

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.behavior.user import UserFeatures
    from features.data.interactions import Interactions
    from features.progress import Progress
    from ranking.outcomes.examples import PastOutcomes

MONTH, QUARTER = 28, 90  # days of the chance, and of spend and the next purchase
PREDICTIONS: dict[str, pl.DataType] = {
    USER_ROW: pl.Int64(),
    CHANCE_28: pl.Float64(),
    SPEND_90: pl.Float64(),
    SPEND_90_LOW: pl.Float64(),
    SPEND_90_HIGH: pl.Float64(),
    NEXT_PURCHASE: pl.Float64(),
}
_ABOUT = "customers.json"


@dataclass(frozen=True)
class CustomerModels:
    """The models of customers. One that could not be fitted is None, and a note says why.

    Attributes
    ----------
    names : tuple of str
        The features that the models take, in order.
    notes : tuple of str
        What could not be fitted and why, and what was assumed, one sentence each.
    """

    buying: BuyingModel | None
    spend: SpendModel | None
    next_purchase: NextPurchaseModel | None
    names: tuple[str, ...]
    notes: tuple[str, ...]

    def predict(self, log: Interactions, now: int) -> pl.DataFrame:
        """Return what is expected of each customer who bought before `now`, in seconds since the epoch.

        Returns
        -------
        `PREDICTIONS`: the user row, the chance of a purchase within 28 days, the expected spend within 90 days with the ends of its 80%
        interval, and the days from now until the next purchase, null if none is expected within 90 days. A column is null where its model
        could not be fitted; `notes` says why.

        Raises
        ------
        DataError
            If the models have learned from values and the log has none, as that of a bundle.
        """
        if log.moments is None:
            return pl.DataFrame(schema=PREDICTIONS)
        if self.spend is not None and log.value is None:
            raise DataError("the models of customers read what was paid, and this log has no values: use the one of Workspace.load")
        return self.predict_of(buyers(log, now))

    def predict_of(self, features: UserFeatures) -> pl.DataFrame:
        """Return `predict` of customers with these features."""
        x = features.table(self.names)
        columns: dict[str, np.ndarray] = {}
        if self.buying is not None:
            columns[CHANCE_28] = self.buying.chance(x)
        if self.spend is not None:
            columns[SPEND_90], (columns[SPEND_90_LOW], columns[SPEND_90_HIGH]) = self.spend.expected(x), self.spend.interval(x)
        if self.next_purchase is not None:
            columns[NEXT_PURCHASE] = self.next_purchase.days(x)
        table = pl.DataFrame({USER_ROW: features.users, **columns})
        missing = [pl.lit(None, kind).alias(name) for name, kind in PREDICTIONS.items() if name not in table.columns]
        finite = pl.when(pl.col(NEXT_PURCHASE).is_finite()).then(pl.col(NEXT_PURCHASE))
        return (
            table.with_columns(missing)
            .with_columns(finite.alias(NEXT_PURCHASE))
            .select(pl.col(name).cast(kind) for name, kind in PREDICTIONS.items())
        )

    def to_files(self) -> dict[str, bytes]:
        """Return all models, and what they are, as JSON and LightGBM's text."""
        parts = {name: getattr(self, name) for name in ("buying", SPEND, NEXT_PURCHASE)}
        about = {"features": self.names, "notes": self.notes, "fitted": [name for name, part in parts.items() if part is not None]}
        files = {_ABOUT: json.dumps(about).encode()}
        for part in parts.values():
            files |= {} if part is None else part.to_files()
        return files

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> CustomerModels:
        """Read what `to_files` wrote.

        Raises
        ------
        ModelError
            If a file is missing or damaged.
        """
        try:
            about = json.loads(files[_ABOUT])
            kinds = {"buying": BuyingModel, SPEND: SpendModel, NEXT_PURCHASE: NextPurchaseModel}
            parts = {name: kind.from_files(files) if name in about["fitted"] else None for name, kind in kinds.items()}
            return cls(**parts, names=tuple(about["features"]), notes=tuple(about["notes"]))
        except (KeyError, ValueError, TypeError) as error:
            raise ModelError(f"the models of customers are damaged ({str(error)[:80]}): run `recsys refresh`") from error


def fit_customer_models(
    log: Interactions, now: int, config: OutcomeConfig | None = None, seed: int = 0, progress: Progress = silent
) -> CustomerModels:
    """Fit the models on what customers did before `now`, in seconds since the epoch. A model that has too little to learn from is left out.

    Returns
    -------
    The models; `CustomerModels.notes` says which are missing and why.
    """
    config = config or OutcomeConfig()
    if log.moments is None:
        return CustomerModels(
            None, None, None, MODEL_FEATURES, ("the log has only the order of events: without dates nothing is predicted",)
        )
    past = PastCustomers(log, config.customers, seed)
    with progress("models of customers", 2) as step:
        buying, month = fit_month(past, now, config, seed)
        step()
        spend, following, quarter = fit_quarter(past, now, config, seed)
        step()
    notes = tuple(note for note in (month, quarter, without_value(log, now) if spend else "") if note)
    return CustomerModels(buying, spend, following, MODEL_FEATURES, notes)


def fit_month(past: PastCustomers, now: int, config: OutcomeConfig, seed: int) -> tuple[BuyingModel | None, str]:
    """Return the model of the next 28 days, or None, and what is missing."""
    data = examples(past, now, MONTH, config)
    why = too_few(data, config)
    if data is None or why:
        return None, f"no chance of buying in the next {MONTH} days: {why}"
    return BuyingModel.fit(data, config, seed), ""


def fit_quarter(past: PastCustomers, now: int, config: OutcomeConfig, seed: int) -> tuple[SpendModel | None, NextPurchaseModel | None, str]:
    """Return the models of the next 90 days, or None, and what is missing."""
    data = examples(past, now, QUARTER, config)
    why = too_few(data, config)
    if data is None or why:
        return None, None, f"no spend and next purchase within {QUARTER} days: {why}"
    following = NextPurchaseModel.fit(data, config, seed)
    if not data.spend[data.window == 0].any():
        return None, following, "no spend: the log has no values of purchases; map the column value or unit_price"
    return SpendModel.fit(data, config, seed), following, ""


def without_value(log: Interactions, now: int) -> str:
    """Return how many purchases before `now` count as 0 because their value is unknown; empty if none does."""
    if log.value is None or log.moments is None:
        return ""
    bought = np.isin(log.event, LABEL_EVENTS) & (log.moments < now)
    unknown = int(np.isnan(log.value[bought]).sum())
    return f"{unknown:,} of {int(bought.sum()):,} purchases have no value and count as 0 in spend" if unknown else ""


def too_few(data: PastOutcomes | None, config: OutcomeConfig) -> str:
    """Return why customers at past moments are too few to learn from; empty if they are enough."""
    if data is None:
        return "the log is too short, expected as many days and four weeks before them"
    newest = data.bought[data.window == 0]
    again, rare = int(newest.sum()), config.least // 20
    if len(newest) >= config.least and again >= rare:
        return ""
    found = f"of {len(newest):,} customers at the newest moment that is known, {again:,} bought again"
    return f"{found}; expected at least {config.least:,} customers, and {rare:,} who did"
