"""Who may be written to: consent and opting out, how often a customer was written to lately, and campaigns that are still running."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.names import CAMPAIGN_ID, HOLDOUT, SENT_AT, USER_ID

if TYPE_CHECKING:
    from datetime import datetime

    from features.data.campaigns import Campaigns
    from features.data.customers import Customers
    from features.data.interactions import Interactions


@dataclass(frozen=True)
class ContactLimits:
    """How often a customer is written to: at most `contacts` times within `within_days`, and not for `rest_days` after a contact."""

    contacts: int
    within_days: int
    rest_days: int
    outcome_days: int


@dataclass(frozen=True)
class Eligible:
    """Who may be written to.

    Attributes
    ----------
    users : ids of all customers, object (n,).
    mask : bool (n,).
    left_out : reason -> customers, each under its first reason.
    consent : what is known of consent, a sentence.
    overlapping : eligible customers in a campaign whose outcome is still open.
    """

    users: np.ndarray
    mask: np.ndarray
    left_out: dict[str, int]
    consent: str
    overlapping: int

    @property
    def chosen(self) -> np.ndarray:
        """Ids of those who may be written to, object (m,)."""
        return self.users[self.mask]


def eligible_customers(
    log: Interactions, customers: Customers | None, campaigns: Campaigns, moment: datetime, limits: ContactLimits
) -> Eligible:
    """Return which customers of the log and of the table of customers may be written to at a moment."""
    named = [log.user_ids] if customers is None else [log.user_ids, customers.frame[USER_ID].to_numpy()]
    table = pl.DataFrame({USER_ID: np.unique(np.concatenate(named).astype(str))}, schema={USER_ID: pl.String})
    barred, consent = _consent(table[USER_ID].to_numpy(), customers)
    table = table.join(_contacts(campaigns, moment, limits), on=USER_ID, how="left", maintain_order="left")
    often = f"written to {limits.contacts:,} times or more within {limits.within_days} days"
    rules = {often: pl.col("recent") >= limits.contacts, f"written to less than {limits.rest_days} days ago": pl.col("resting")}
    reasons = barred | {reason: table.select(rule.fill_null(value=False)).to_series().to_numpy() for reason, rule in rules.items()}
    left_out, mask = {}, np.ones(table.height, dtype=bool)
    for reason, holds in reasons.items():
        hit = mask & holds
        if hit.any():
            left_out[reason] = int(hit.sum())
        mask &= ~hit
    running = table["running"].fill_null(value=False).to_numpy()
    return Eligible(table[USER_ID].to_numpy(), mask, left_out, consent, int((running & mask).sum()))


def _consent(users: np.ndarray, customers: Customers | None) -> tuple[dict[str, np.ndarray], str]:
    """Return who may not be written to, by reason, and what is known of consent."""
    if customers is None:
        return {}, "nothing is known of consent, the shop has no table of customers: check it before you send"
    if not customers.has_consent:
        return customers.barred(users), "nothing is known of consent, the table of customers has none: check it before you send"
    return customers.barred(users), "only customers with consent are written to"


def _contacts(campaigns: Campaigns, moment: datetime, limits: ContactLimits) -> pl.DataFrame:
    """Return `recent` contacts, whether a customer is `resting`, and whether a campaign is `running`, by `user_id`."""
    past = campaigns.before(moment).frame
    sent = ~pl.col(HOLDOUT)
    # A campaign with two offers for a customer on one day is one contact.
    contacts = past.with_columns(_day=pl.col(SENT_AT).dt.date()).unique([USER_ID, CAMPAIGN_ID, "_day", HOLDOUT])
    return contacts.group_by(USER_ID).agg(
        recent=(sent & (pl.col(SENT_AT) >= moment - timedelta(days=limits.within_days))).sum(),
        resting=(sent & (pl.col(SENT_AT) > moment - timedelta(days=limits.rest_days))).any(),
        running=(pl.col(SENT_AT) > moment - timedelta(days=limits.outcome_days)).any(),
    )
