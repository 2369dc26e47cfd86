"""Compares groups of customers by attributes that a shop names: who gets an offer, and what offers they get."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from eval.experiment.effects import MIN_USERS, unpaired
from features.errors import ConfigError, DataError
from features.names import USER_ID
from ranking.outcomes.allocation import NONE
from recsys.apps.campaigns.planning.offers import Offer, amounts
from recsys.apps.campaigns.planning.report import Gap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.data.customers import Customers


@dataclass(frozen=True)
class CustomerGroups:
    """The groups of an attribute.

    Attributes
    ----------
    names : of the compared groups.
    code : int64 (n,), index into `names`; `NONE` for customers who are not compared.
    small : groups of fewer than `MIN_USERS` customers, with their sizes; they are not compared.
    unknown : customers whose group is not known.
    """

    attribute: str
    names: list[str]
    code: np.ndarray
    small: dict[str, int]
    unknown: int

    def widest(self, sent: np.ndarray) -> float:
        """Return the largest difference between the share of a group that gets an offer and the share of all groups."""
        known = self.code != NONE
        if not known.any():
            return 0.0
        share = sent[known].mean()
        return max(abs(float(sent[self.code == group].mean()) - share) for group in range(len(self.names)))


def groups_of(customers: Customers | None, attributes: Sequence[str], users: np.ndarray) -> list[CustomerGroups]:
    """Return the groups of customers by attributes of `campaigns.sensitive`.

    Raises
    ------
    ConfigError
        If the shop has no table of customers, or no customer has an attribute.
    """
    if not attributes:
        return []
    if customers is None:
        raise ConfigError("campaigns.sensitive needs a table of customers, and the shop has none: run `recsys ingest --customers FILE`")
    return [_groups(customers, name, users) for name in attributes]


def _groups(customers: Customers, attribute: str, users: np.ndarray) -> CustomerGroups:
    try:
        values = customers.attribute(attribute)
    except DataError as error:
        raise ConfigError(f"campaigns.sensitive: {error}") from error
    asked = pl.DataFrame({USER_ID: users.astype(str)}, schema={USER_ID: pl.String})
    value = asked.join(values, on=USER_ID, how="left", maintain_order="left")["value"]
    counts = dict(value.drop_nulls().value_counts().sort("value").iter_rows())
    names = [name for name, count in counts.items() if count >= MIN_USERS]
    place = {name: i for i, name in enumerate(names)}
    code = np.array([place.get(one, NONE) for one in value], dtype=np.int64)
    return CustomerGroups(attribute, names, code, {name: n for name, n in counts.items() if n < MIN_USERS}, value.null_count())


def exposure_gaps(groups: Sequence[CustomerGroups], sent: np.ndarray) -> list[Gap]:
    """Return for each group its share that gets an offer, less the share of all groups.

    Parameters
    ----------
    sent : bool (n,)
    """
    return [gap for one in groups for gap in _gaps(one, one.code, sent.astype(np.float64))]


def offer_gaps(groups: Sequence[CustomerGroups], sent: np.ndarray, offers: list[Offer]) -> dict[str, list[Gap]]:
    """Return for each group the mean discount, and the mean cost of sending, of those who get an offer, less that of all groups.

    Parameters
    ----------
    sent : int64 (n,), the offer of each customer; `NONE` for none.
    """
    some = np.flatnonzero(sent != NONE)
    found = {}
    for name in ("discount", "cost"):
        values = amounts(offers, name)[sent[some]]
        found[name] = [gap for one in groups for gap in _gaps(one, one.code[some], values)]
    return found


def _gaps(groups: CustomerGroups, code: np.ndarray, values: np.ndarray) -> list[Gap]:
    """Return each group's mean less the mean of all groups; the interval is that of group and rest, scaled."""
    found = []
    for index, name in enumerate(groups.names):
        mine, rest = values[code == index], values[(code != index) & (code != NONE)]
        if not len(mine) or not len(rest):
            continue
        effect, weight = unpaired(rest, mine), len(rest) / (len(mine) + len(rest))
        ends = effect.difference * weight, effect.low * weight, effect.high * weight
        found.append(Gap(groups.attribute, name, len(mine), float(mine.mean()), *ends))
    return found
