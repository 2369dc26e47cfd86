"""Compares the offers that groups of customers get."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ranking.outcomes.allocation import NONE
from recsys.apps.campaigns.planning.offers import Offer, amounts
from recsys.apps.customers.groups import CustomerGroups, Gap, mean_gaps

if TYPE_CHECKING:
    from collections.abc import Sequence


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
        found[name] = [gap for one in groups for gap in mean_gaps(one, one.code[some], values)]
    return found
