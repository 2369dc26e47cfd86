"""Who may be written to: not opted out, and with consent where the shop records any."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.names import CONSENT, OPTED_OUT, USER_ID

if TYPE_CHECKING:
    from features.data.customers import Customers

OPTED, NO_CONSENT = "opted out", "no consent"


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
        frame = customers.frame
        out = np.isin(user_ids, frame.filter(frame[OPTED_OUT].fill_null(value=False))[USER_ID].to_numpy())
        if not frame[CONSENT].is_not_null().any():
            return cls({OPTED: out}, "the table of customers says nothing of consent: ask for it before anybody is written to")
        agreed = np.isin(user_ids, frame.filter(frame[CONSENT].fill_null(value=False))[USER_ID].to_numpy())
        return cls({OPTED: out, NO_CONSENT: ~agreed & ~out})
