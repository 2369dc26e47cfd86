"""Compares groups of customers by attributes that a shop names: who is chosen, for a campaign or an audience, and what they get."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from eval.experiment.effects import MIN_USERS, unpaired
from features.errors import ConfigError, DataError
from features.names import USER_ID
from features.text.plain import agree, counted, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from features.data.customers import Customers

NONE = -1  # stands for no group


@dataclass(frozen=True)
class Gap:
    """A group's mean, and that less the mean of all groups with its 95% interval; nan with fewer than 20 customers."""

    attribute: str
    group: str
    customers: int
    mean: float
    gap: float
    low: float
    high: float

    def interval(self, form: str) -> str:
        """Return the interval for people, its ends in a form such as "+.1%"."""
        if math.isnan(self.low):
            return f"(interval not known, expected at least {MIN_USERS} customers)"
        return f"[{self.low:{form}}, {self.high:{form}}]"

    def exposure(self, what: str, limit: float) -> str:
        """Return the line of a gap of exposure: which share of the group gets `what`."""
        head = f"exposure, {plain(self.attribute)} {plain(self.group)}: {self.mean:.1%} get {what}"
        return f"{head}, {self.gap:+.1%} {self.interval('+.1%')} from all; limit {limit:.1%}"


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
        """Return the largest difference between the share of a group that is chosen and the share of all groups."""
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
    """Return for each group its share that is chosen, less the share of all groups.

    Parameters
    ----------
    sent : bool (n,)
    """
    return [gap for one in groups for gap in mean_gaps(one, one.code, sent.astype(np.float64))]


def mean_gaps(groups: CustomerGroups, code: np.ndarray, values: np.ndarray) -> list[Gap]:
    """Return each group's mean less the mean of all groups; the interval is that of group and rest, scaled.

    Parameters
    ----------
    code : int64 (n,), the group of each value; `NONE` for none.
    values : float64 (n,)
    """
    found = []
    for index, name in enumerate(groups.names):
        mine, rest = values[code == index], values[(code != index) & (code != NONE)]
        if not len(mine) or not len(rest):
            continue
        effect, weight = unpaired(rest, mine), len(rest) / (len(mine) + len(rest))
        ends = effect.difference * weight, effect.low * weight, effect.high * weight
        found.append(Gap(groups.attribute, name, len(mine), float(mine.mean()), *ends))
    return found


def group_notes(groups: Sequence[CustomerGroups]) -> list[str]:
    """Return who is not compared."""
    notes = []
    for one in groups:
        if one.small:
            names = ", ".join(f"{name} ({count:,})" for name, count in one.small.items())
            notes.append(f"groups of {one.attribute} too small to compare: {names}")
        if one.unknown:
            verb = agree(one.unknown, "is", "are")
            notes.append(f"{one.attribute} is not known of {counted(one.unknown, 'customer')}, who {verb} not compared")
    return notes
