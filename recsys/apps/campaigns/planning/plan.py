"""`recsys campaign plan`: which customer gets which offer within the budget and all limits, and who of them is held out."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from eval.experiment.splits import in_b
from features.behavior.campaigns import SendHistory
from features.behavior.purchase_days import calendar_of
from features.data.campaigns import CAMPAIGN_COLUMNS, Campaigns
from features.data.interactions import DAY
from features.errors import DataError
from features.names import CAMPAIGN_ID, CATEGORY, COST, HOLDOUT, ITEM_ID, OFFER, REDEEMED_AT, SENT_AT, USER_ID
from features.text.plain import counted
from ranking.outcomes.allocation import NONE, AllocationProblem, ExposureLimit, allocate
from recsys.apps.campaigns.planning.eligible import ContactLimits, Eligible, eligible_customers
from recsys.apps.campaigns.planning.expected import expect
from recsys.apps.campaigns.planning.offers import amounts, table_of
from recsys.apps.campaigns.planning.summary import PlanCase, plan_report, total
from recsys.apps.customers.groups import groups_of

if TYPE_CHECKING:
    from features.data.customers import Customers
    from recsys.apps.campaigns.planning.report import PlanReport
    from recsys.apps.campaigns.planning.request import PlanRequest
    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

EXPECTED_VALUE = "expected_value"
_TRIES = 12  # allocations, each tighter than the last where the holdout's chance broke a limit


@dataclass(frozen=True)
class Plan:
    """The plan, and what is said of it.

    Attributes
    ----------
    frame : columns of campaigns, and `expected_value`; a row for each chosen customer, those of the holdout too.
    """

    frame: pl.DataFrame
    report: PlanReport


def plan_campaign(workspace: Workspace, settings: Settings, request: PlanRequest) -> Plan:
    """Choose who gets which offer, from what the workspace knows.

    Raises
    ------
    DataError
        If nobody may be written to, no offer is worth its cost to anybody, or too little is known to expect anything.
    """
    catalog, log = workspace.load(settings.events)
    found = workspace.load_campaigns()
    campaigns = Campaigns.of(pl.DataFrame(schema=CAMPAIGN_COLUMNS)) if found is None else found
    return plan_on(SendHistory(log, catalog, campaigns), workspace.load_customers(), settings, request)


def plan_on(history: SendHistory, customers: Customers | None, settings: Settings, request: PlanRequest) -> Plan:
    """Choose who gets which offer, from tables, as `plan_campaign`; customers who are in neither log nor table are not known."""
    log, campaigns = history.log, history.campaigns
    if not len(log):
        raise DataError("the log has no events: run `recsys ingest` with a log that has purchases")
    last = datetime.fromtimestamp(int(calendar_of(log).max()) // DAY * DAY, UTC).replace(tzinfo=None)
    moment = request.send_at or last + timedelta(days=1)
    request = replace(request, campaign_id=request.campaign_id or f"plan-{moment:%Y-%m-%d}", send_at=moment)
    if request.campaign_id in campaigns.frame[CAMPAIGN_ID]:
        raise DataError(f"the campaign {request.campaign_id!r} is there already, expected a new name: give one with --campaign")
    config = settings.campaigns
    limits = ContactLimits(
        request.contacts or config.contacts, request.within_days or config.within_days, config.rest_days, config.response.days
    )
    eligible = eligible_customers(log, customers, campaigns, moment, limits)
    if not eligible.mask.any():
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in eligible.left_out.items())
        raise DataError(f"none of {counted(len(eligible.users), 'customer')} may be written to ({reasons}): relax the limits of contacts")
    expected = expect(history, list(request.offers), eligible.chosen, (moment, request.seed), config)
    offers = list(request.offers)
    costs = amounts(offers, "cost") + amounts(offers, "discount") * expected.chance
    held = in_b(eligible.chosen.tolist(), request.campaign_id, request.holdout) if request.holdout else np.zeros(len(costs), dtype=bool)
    groups = groups_of(customers, config.sensitive, eligible.chosen)
    values = amounts(offers, "margin") * expected.gain - costs
    case = PlanCase(request, values, costs, held, groups, config.exposure_gap, config.response.days)
    plan = _allocated(case)
    if not (plan[~held] != NONE).any():
        advice = "raise the budget or the margins, or lower the smallest group"
        base = ", by what an earlier campaign brought beyond its holdout," if expected.by == "uplift" else ""
        raise DataError(f"no offer is expected to earn its cost{base} within a budget of {request.budget:g} and all limits: {advice}")
    return Plan(_frame(case, eligible, plan), plan_report(case, eligible, expected, plan, history))


def _allocated(case: PlanCase) -> np.ndarray:
    """Return the offer of each customer, the holdout included, such that those who are written to keep all limits.

    The holdout is drawn among the chosen, or it would not be comparable. It costs nothing, so the budget of all is larger; which customers
    chance holds out is known only then, so a limit may be missed by a little, and the next try is tighter.
    """
    request, share = case.request, 1 - case.request.holdout
    budget, group, gap = request.budget / share, math.ceil(request.min_group / share), case.gap
    allowed = np.ones_like(case.costs, dtype=bool)
    for _ in range(_TRIES):
        exposure = tuple(ExposureLimit(one.code, gap) for one in case.groups)
        plan = allocate(AllocationProblem(case.values, case.costs, budget, allowed, group, exposure))
        sent = np.where(case.held, NONE, plan)
        spent = total(case.costs, sent)
        counts = np.bincount(sent[sent != NONE], minlength=case.costs.shape[1])
        small = (counts > 0) & (counts < request.min_group)
        unequal = max((one.widest(sent != NONE) for one in case.groups), default=0.0)
        if spent <= request.budget and not small.any() and unequal <= case.gap:
            return plan
        if spent > request.budget:
            budget *= request.budget / spent * 0.999
        if small.any():
            group += int((request.min_group - counts[small]).max())
        if unequal > case.gap:
            gap = max(0.0, gap - (unequal - case.gap) * 1.1)
    raise DataError("no plan keeps the budget, the smallest group and the exposure of all groups at once: relax one of them")


def _frame(case: PlanCase, eligible: Eligible, plan: np.ndarray) -> pl.DataFrame:
    """Return the rows of the plan, by customer; a row of the holdout has the offer that the customer would have had."""
    some = np.flatnonzero(plan != NONE)
    offers, held = table_of(list(case.request.offers))[plan[some].tolist()], case.held[some]
    sending = amounts(list(case.request.offers), "cost")[plan[some]]
    return pl.DataFrame({USER_ID: eligible.chosen[some].astype(str)}).with_columns(
        pl.lit(case.request.campaign_id).alias(CAMPAIGN_ID),
        pl.lit(case.request.send_at, pl.Datetime("us")).alias(SENT_AT),
        offers[OFFER],
        offers[ITEM_ID],
        offers[CATEGORY],
        pl.Series(COST, np.where(held, 0.0, sending)),
        pl.Series(HOLDOUT, held),
        pl.lit(None, pl.Datetime("us")).alias(REDEEMED_AT),
        pl.Series(EXPECTED_VALUE, np.round(case.values[some, plan[some]], 4)),
    )
