"""Who may be written to: not opted out, and with consent where the shop records any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.data.customers import OPTED

if TYPE_CHECKING:
    from features.data.customers import Customers

NO_CONSENT = "no consent"


@dataclass(frozen=True)
class Contact:
    """Why some customers may not be written to.

    Attributes
    ----------
    barred : reason -> customers, bool (n,); each is counted for one reason.
    note : what is not known; empty where consent is.
    """

    barred: dict[str, np.ndarray]
    note: str = ""

    @classmethod
    def of(cls, customers: Customers | None, user_ids: np.ndarray) -> Contact:
        """Judge some customers by the shop's table; unknown consent is none where the table has any."""
        if customers is None:
            return cls({}, "nothing is known of consent and opt-outs: bring a table of customers before anybody is written to")
        barred = customers.barred(user_ids)
        out = {OPTED: barred.pop(OPTED)}
        if not customers.has_consent:
            return cls(out, "the table of customers says nothing of consent: ask for it before anybody is written to")
        return cls(out | {NO_CONSENT: np.any(list(barred.values()), axis=0)})
