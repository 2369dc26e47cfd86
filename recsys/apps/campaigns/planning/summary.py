"""Says what a plan is, what it is expected to bring, and what its holdout and its groups show."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from eval.experiment.effects import MIN_USERS, detectable
from eval.metrics.intervals import NORMAL_95
from features.behavior.campaigns import seconds
from features.data.interactions import DAY
from features.names import USER_ID
from features.text.plain import agree, counted
from ranking.outcomes.allocation import NONE
from recsys.apps.campaigns.planning.fairness import offer_gaps
from recsys.apps.campaigns.planning.offers import amounts, table_of
from recsys.apps.campaigns.planning.report import HoldoutSummary, OfferSummary, PlanReport, ProfitEstimate
from recsys.apps.customers.groups import CustomerGroups, exposure_gaps, group_notes

if TYPE_CHECKING:
    from features.behavior.campaigns import SendHistory
    from recsys.apps.campaigns.planning.eligible import Eligible
    from recsys.apps.campaigns.planning.expected import Expected
    from recsys.apps.campaigns.planning.request import PlanRequest


@dataclass(frozen=True)
class PlanCase:
    """What the allocation works on, for n eligible customers and m offers.

    Attributes
    ----------
    values, costs : float (n, m), expected.
    held : bool (n,), whom chance holds out if they are chosen.
    groups : of the sensitive attributes.
    gap : the limit of exposure.
    days : within which a response counts.
    """

    request: PlanRequest
    values: np.ndarray
    costs: np.ndarray
    held: np.ndarray
    groups: list[CustomerGroups]
    gap: float
    days: int


def total(table: np.ndarray, plan: np.ndarray) -> float:
    some = np.flatnonzero(plan != NONE)
    return float(table[some, plan[some]].sum())


def plan_report(case: PlanCase, eligible: Eligible, expected: Expected, plan: np.ndarray, history: SendHistory) -> PlanReport:
    """Return what is said of a plan, whose `plan` holds the offer of each eligible customer, the holdout included."""
    request, sent = case.request, np.where(case.held, NONE, plan)
    offers = [
        OfferSummary(
            offer.name,
            int((sent == j).sum()),
            int((case.held & (plan == j)).sum()),
            float(expected.chance[sent == j, j].sum()),
            float(expected.gain[sent == j, j].sum()),
            float(case.costs[sent == j, j].sum()),
            float(case.values[sent == j, j].sum()),
        )
        for j, offer in enumerate(request.offers)
    ]
    chosen = int((sent != NONE).sum())
    left_out = dict(eligible.left_out)
    if nothing := int((plan == NONE).sum()):
        left_out["not chosen: another customer is worth more within the limits, or no offer earns its cost"] = nothing
    return PlanReport(
        campaign_id=request.campaign_id,
        send_at=f"{request.send_at:%Y-%m-%d}",
        by=expected.by,
        response=expected.kind,
        customers=len(eligible.users),
        sent=chosen,
        left_out=left_out,
        consent=eligible.consent,
        offers=offers,
        budget=request.budget,
        cost=sum(offer.cost for offer in offers),
        profit=_profit(case, expected, sent),
        holdout=_holdout(case, eligible, plan, history),
        exposure=exposure_gaps(case.groups, sent != NONE),
        offer_gaps=offer_gaps(case.groups, sent, list(request.offers)),
        exposure_limit=case.gap,
        notes=_notes(case, eligible, expected, plan),
    )


def _profit(case: PlanCase, expected: Expected, sent: np.ndarray) -> ProfitEstimate:
    """Return the expected profit; its interval has the chance of each response, and how far campaigns are from expectation."""
    offers, some = list(case.request.offers), np.flatnonzero(sent != NONE)
    mine = sent[some]
    margin, discount = amounts(offers, "margin")[mine], amounts(offers, "discount")[mine]
    chance, gain = expected.chance[some, mine], expected.gain[some, mine]
    worth = margin - discount if expected.by == "response" else margin
    noise = float((worth**2 * chance * (1 - chance)).sum())
    level = expected.error * float((worth * gain).sum())
    profit = total(case.values, sent)
    reach = NORMAL_95 * math.sqrt(noise + level**2)
    return ProfitEstimate(profit, profit - reach, profit + reach)


def _holdout(case: PlanCase, eligible: Eligible, plan: np.ndarray, history: SendHistory) -> HoldoutSummary | None:
    """Return what the holdout can tell, by how many of the chosen bought what the offers are for lately."""
    chosen = np.flatnonzero(plan != NONE)
    held = int(case.held[chosen].sum())
    if not held or case.request.send_at is None:
        return None
    days = case.days
    now = seconds(case.request.send_at)
    offers = table_of(list(case.request.offers))[plan[chosen].tolist()]
    rows = offers.with_columns(pl.Series(USER_ID, eligible.chosen[chosen].astype(str)))
    bought, spend = history.purchases(rows, now - days * DAY, now)
    rate, users = float(bought.mean()), (held, len(chosen) - held)
    by_share, by_spend = (_detectable(variance, users) for variance in (rate * (1 - rate), float(spend.var())))
    if by_share > max(rate, 1 - rate):  # a share cannot change by more
        by_share = math.nan
    return HoldoutSummary(case.request.holdout, held, rate, float(spend.mean()), by_share, by_spend, days)


def _detectable(variance: float, users: tuple[int, int]) -> float:
    """Return the smallest difference that is found; nan where nothing varies, or too few customers are on one side for any interval."""
    return detectable((variance, variance), users) if variance > 0 and min(users) >= MIN_USERS else math.nan


def _notes(case: PlanCase, eligible: Eligible, expected: Expected, plan: np.ndarray) -> list[str]:
    """Return what a marketer must know before sending."""
    notes = list(expected.notes)
    if expected.by == "response":
        notes.append("the profit counts every response as earned, also of those who would have bought anyway")
    held = int((case.held & (plan != NONE)).sum())
    if not case.request.holdout:
        notes.append(
            "no holdout, as asked for: nobody will be able to tell what this campaign brought, and the next plan cannot rank by uplift"
        )
    elif held < MIN_USERS:
        few = f"{counted(held, 'customer')} {agree(held, 'is', 'are')} held out, expected at least {MIN_USERS}"
        notes.append(f"{few}: what this campaign brought will not be told; give a larger --holdout or budget")
    if eligible.overlapping:
        verb = agree(eligible.overlapping, "is", "are")
        who = counted(eligible.overlapping, "customer")
        notes.append(f"{who} {verb} in a campaign of the last {case.days} days: what they buy counts for both campaigns")
    return notes + group_notes(case.groups)
