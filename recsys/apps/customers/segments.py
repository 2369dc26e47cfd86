"""Segments of customers: recency against the customer's own rhythm, frequency and value, each a rule that can be read as a sentence."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.behavior.rhythm import GAPS_PRIOR, YEAR
from features.errors import DataError
from features.names import PURCHASE_DAYS, PURCHASE_DAYS_IN, RECENCY, SEGMENT, SPEND_IN, TENURE, USUAL_GAP
from features.text.closest import did_you_mean

if TYPE_CHECKING:
    from features.behavior.rhythm import Rhythms

NEW, LOST, DRIFTING, ONE_PURCHASE = "new", "lost", "drifting away", "one purchase"
BIG_SPENDERS, LOYAL, OCCASIONAL = "big spenders", "loyal", "occasional"
# The first rule that holds decides, so that every customer is in exactly one segment.
SEGMENTS = (NEW, LOST, DRIFTING, ONE_PURCHASE, BIG_SPENDERS, LOYAL, OCCASIONAL)
# Shares of the gaps between purchase days that are no longer; of the customers who spend no more; who buy on no more days.
DRIFT_SHARE, LOST_SHARE, VALUE_SHARE, FREQUENCY_SHARE = 0.95, 0.995, 0.9, 0.6
NEW_DAYS = 28  # at least
LEAST_DRIFT, LEAST_LOST = 1.5, 2.0  # usual gaps, and multiples of drifting away: where all are as regular as clocks
NO_DRIFT, NO_LOST = 2.0, 4.0  # usual gaps, where no gap has ended
_VALUE, _FREQUENCY = SPEND_IN.format(YEAR), PURCHASE_DAYS_IN.format(YEAR)


@dataclass(frozen=True)
class SegmentRules:
    """The thresholds of a shop, from its own quantiles.

    Attributes
    ----------
    new_days : first purchase at most so many days ago.
    drift, lost : no purchase for more than so many usual gaps.
    value : paid in the last 364 days, above which a customer is a big spender; nan in a shop without values.
    frequency : purchase days in the last 364 days, above which a customer is loyal.
    typical : the shop's typical gap, days.
    repeats : whether anybody has bought on two days.
    """

    new_days: int
    drift: float
    lost: float
    value: float
    frequency: float
    typical: float
    repeats: bool = True

    @classmethod
    def of(cls, rhythms: Rhythms, customers: pl.DataFrame) -> SegmentRules:
        """Read the thresholds from a log and what is known of its customers (`Rhythms.on`).

        Those of value and frequency are quantiles of the customers who are neither new, lost, drifting away, nor have one purchase.
        """
        ratios = rhythms.ratios()
        drift, lost = (float(np.quantile(ratios, share)) for share in (DRIFT_SHARE, LOST_SHARE)) if len(ratios) else (NO_DRIFT, NO_LOST)
        drift = max(LEAST_DRIFT, _rounded(drift))
        lost = max(LEAST_LOST * drift, _rounded(lost))
        new_days = max(NEW_DAYS, math.ceil(rhythms.typical)) if rhythms.repeats else NEW_DAYS
        rules = cls(new_days, drift, lost, math.nan, math.inf, rhythms.typical, rhythms.repeats)
        kept = customers.filter(rules.assign(customers)[SEGMENT] == OCCASIONAL)
        if not kept.height:
            return rules
        value, frequency = (
            float(np.quantile(kept[name].to_numpy(), q)) for name, q in ((_VALUE, VALUE_SHARE), (_FREQUENCY, FREQUENCY_SHARE))
        )
        has_values = bool((kept[_VALUE] > 0).any())
        return cls(new_days, drift, lost, _rounded(value) if has_values else math.nan, math.floor(frequency), rhythms.typical)

    def assign(self, customers: pl.DataFrame) -> pl.DataFrame:
        """Return the customers with the column `segment`, a name of `SEGMENTS`."""
        late = pl.col(RECENCY) / pl.col(USUAL_GAP)
        value = pl.lit(value=False) if math.isnan(self.value) else pl.col(_VALUE) > self.value
        rules = (
            (NEW, pl.col(TENURE) <= self.new_days),
            (LOST, late > self.lost),
            (DRIFTING, (late > self.drift) & (pl.col(PURCHASE_DAYS) > 1)),
            (ONE_PURCHASE, pl.col(PURCHASE_DAYS) == 1),
            (BIG_SPENDERS, value),
            (LOYAL, pl.col(_FREQUENCY) > self.frequency),
        )
        found = pl.lit(OCCASIONAL)
        for name, rule in reversed(rules):
            found = pl.when(rule).then(pl.lit(name)).otherwise(found)
        return customers.with_columns(found.cast(pl.Enum(SEGMENTS)).alias(SEGMENT))

    def sentence(self, segment: str) -> str:
        """Return the rule of a segment in words, with its numbers; rules of the segments before it have not held."""
        usual = f"nobody has bought on two days, so {self.typical:.0f} days stand for the usual gap"
        drift = lost = ""
        if self.repeats:
            usual = f"the usual gap is the customer's mean gap between purchase days, mixed with {GAPS_PRIOR} of {self.typical:.3g} days"
            drift, lost = (f", as at most {1 - share:.1%} of the gaps here are" for share in (DRIFT_SHARE, LOST_SHARE))
        keep = "of those who keep buying"
        value = f"paid more than {self.value:,.2f} in the last {YEAR} days: the top {1 - VALUE_SHARE:.0%} {keep}"
        return {
            NEW: f"first purchase at most {self.new_days} days ago",
            LOST: f"no purchase for more than {self.lost:.3g} usual gaps{lost}; {usual}",
            DRIFTING: f"no purchase for more than {self.drift:.3g} usual gaps{drift}, after purchases on two days or more",
            ONE_PURCHASE: "purchases on one day only",
            BIG_SPENDERS: "none: the log has no values of purchases" if math.isnan(self.value) else value,
            LOYAL: f"bought on more than {self.frequency:.0f} of the last {YEAR} days: the top {1 - FREQUENCY_SHARE:.0%} {keep}",
            OCCASIONAL: "all others who keep buying",
        }[segment]


def segment_of(name: str) -> str:
    """Return a segment by its name in any case, with spaces, hyphens or underscores.

    Raises
    ------
    DataError
        There is none of this name.
    """
    wanted = re.sub(r"[\s_-]+", " ", name.strip().casefold())
    if wanted in SEGMENTS:
        return wanted
    hint = did_you_mean(wanted, SEGMENTS) or f", expected one of {', '.join(SEGMENTS)}"
    raise DataError(f"there is no segment {name!r}{hint}")


def _rounded(value: float) -> float:
    """Round to three digits: a rule is read, and what is printed is what decides."""
    return float(f"{value:.3g}")
