"""`recsys campaign evaluate`: what a campaign brought, those who were written to against its holdout."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from eval.experiment.effects import MIN_USERS, SRM_ALARM, Effect, cuped, ratio_mismatch, unpaired, variance_left
from features.behavior.campaigns import SendHistory, seconds
from features.behavior.purchase_days import PurchaseDays, calendar_of
from features.data.interactions import DAY
from features.data.split import LABEL_EVENTS
from features.errors import DataError
from features.names import CAMPAIGN_ID, CATEGORY, COST, HOLDOUT, ITEM_ID, OFFER, REDEEMED_AT, SENT_AT, SPEND, USER_ID
from features.text.closest import did_you_mean
from features.text.plain import agree, counted, plain
from recsys.apps.campaigns.planning.report import ProfitEstimate, finite

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsys.settings.settings import Settings
    from recsys.workspace.workspace import Workspace

RECENT_DAYS = 28
BUYERS, TARGET_BUYERS, TARGET_SPEND = "buyers", "target_buyers", "target_spend"
_TITLES = {
    BUYERS: "bought anything",
    SPEND: "spend a customer",
    TARGET_BUYERS: "bought what the offer is for",
    TARGET_SPEND: "spend a customer on it",
}
_SHARES = (BUYERS, TARGET_BUYERS)
NO_HOLDOUT = "the campaign has no holdout: what it brought cannot be told from what its customers would have bought anyway"


@dataclass(frozen=True)
class SegmentOutcome:
    """The extra spend of a group of customers."""

    name: str
    sent: int
    held: int
    spend: Effect


@dataclass(frozen=True)
class CampaignOutcome:
    """What a campaign brought within some days.

    Attributes
    ----------
    sent, held : customers.
    redeemed : customers who redeemed.
    cost : of all rows.
    effects : metric -> those who were written to less the holdout; empty without a holdout.
    variance_left : share of the variance of spend that what was known before leaves.
    profit : extra spend of all who were written to, times the margin, less the cost; None without a holdout.
    split : p-value of the sizes of holdout and others under the planned share.
    """

    campaign_id: str
    days: int
    sent: int
    held: int
    redeemed: int
    cost: float
    means: dict[str, float]
    notes: list[str]
    effects: dict[str, Effect] = field(default_factory=dict)
    variance_left: float = 1.0
    profit: ProfitEstimate | None = None
    split: float | None = None
    segments: list[SegmentOutcome] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return the stable form of `--json`; what is not known is null."""
        return finite(asdict(self))

    def lines(self) -> Iterator[str]:
        """Yield what the command prints."""
        held = f"{self.held:,} held out" if self.held else "nobody held out"
        yield f"Campaign {plain(self.campaign_id)}, {self.days} days after sending: {self.sent:,} written to, {held}"
        rate = self.redeemed / max(self.sent, 1)
        yield f"redeemed: {self.redeemed:,} ({rate:.1%}); cost {self.cost:,.2f}"
        for name, mean in self.means.items():
            effect = self.effects.get(name)
            value = mean if effect is None else effect.b  # adjusted like the holdout's
            shown = f"{value:.1%}" if name in _SHARES else f"{value:,.2f}"
            yield f"{_TITLES[name]}: {shown}" + (f", {_against(name, effect)}" if effect else "")
        if self.profit is not None:
            yield f"profit {self.profit.value:,.2f} [{self.profit.low:,.2f}, {self.profit.high:,.2f}]"
            yield f"spend before leaves {self.variance_left:.0%} of the variance of spend"
        for segment in self.segments:
            arms, one = f"{segment.sent:,} written to, {segment.held:,} held out", segment.spend
            yield f"{segment.name}: {arms}, extra spend a customer {_interval(one.difference, one.low, one.high)}"
        for note in self.notes:
            yield f"note: {plain(note)}"


def _against(name: str, effect: Effect) -> str:
    found = _interval(effect.difference, effect.low, effect.high, share=name in _SHARES)
    base = f"{effect.a:.1%}" if name in _SHARES else f"{effect.a:,.2f}"
    return f"holdout {base}, lift {found}"


def _interval(value: float, low: float, high: float, *, share: bool = False) -> str:
    if np.isnan(low):
        return f"not known, expected at least {MIN_USERS} customers on both sides"
    return f"{value:+.2%} [{low:+.2%}, {high:+.2%}]" if share else f"{value:+,.2f} [{low:+,.2f}, {high:+,.2f}]"


def campaign_outcome(workspace: Workspace, settings: Settings, campaign_id: str, share: float | None = None) -> CampaignOutcome:
    """Read what a campaign brought from the ingested tables.

    Parameters
    ----------
    share : of the holdout, as planned; None: `campaigns.holdout`.

    Raises
    ------
    DataError
        If there is no such campaign, everybody was held out, or the log has none of its customers, or no purchases after it was sent.
    """
    catalog, log = workspace.load(settings.events)
    campaigns = workspace.load_campaigns()
    if campaigns is None or not len(campaigns):
        raise DataError("the shop has no campaigns: run `recsys ingest --campaigns FILE` with what was sent to whom")
    return outcome_of(SendHistory(log, catalog, campaigns), campaign_id, settings, share)


def outcome_of(history: SendHistory, campaign_id: str, settings: Settings, share: float | None = None) -> CampaignOutcome:
    """Read what a campaign brought, as `campaign_outcome`."""
    config, days = settings.campaigns, settings.campaigns.response.days
    rows = _rows_of(history, campaign_id)
    users = rows.group_by(USER_ID).agg(pl.col(HOLDOUT).all(), pl.col(OFFER, ITEM_ID, CATEGORY).first()).sort(USER_ID)
    since, held = seconds(rows.select(pl.col(SENT_AT).min()).item()), users[HOLDOUT].to_numpy()
    table, before = (_purchases(history, users, start, days) for start in (since, since - days * DAY))
    strangers = _strangers(history, campaign_id, users, since, days)
    sent, cost = int((~held).sum()), float(rows[COST].fill_null(0).sum())
    redeemed = rows.filter(pl.col(REDEEMED_AT).is_not_null() & ~pl.col(HOLDOUT))[USER_ID].n_unique()
    facts = {
        "campaign_id": campaign_id,
        "days": days,
        "sent": sent,
        "held": int(held.sum()),
        "redeemed": redeemed,
        "cost": cost,
        "means": {name: float(values[~held].mean()) for name, values in table.items()},
    }
    notes = [*strangers, *_notes(history, rows, since, days)]
    if not held.any():
        return CampaignOutcome(**facts, notes=[*notes, NO_HOLDOUT])
    covariates = np.stack([before[name] for name in (BUYERS, SPEND, TARGET_SPEND)], axis=1)
    adjusted = {name: cuped(values, covariates) for name, values in table.items()}
    effects = {name: unpaired(values[held], values[~held]) for name, values in adjusted.items()}
    extra = effects[SPEND]
    split = ratio_mismatch(sent, int(held.sum()), config.holdout if share is None else share)
    return CampaignOutcome(
        **facts,
        effects=effects,
        variance_left=variance_left(table[SPEND], adjusted[SPEND]),
        profit=ProfitEstimate(*(sent * config.margin * one - cost for one in (extra.difference, extra.low, extra.high))),
        split=split,
        segments=_segments(history, users, since, adjusted[SPEND]),
        notes=[*notes, *_judgement(effects[SPEND], split, config.margin)],
    )


def _rows_of(history: SendHistory, campaign_id: str) -> pl.DataFrame:
    """Return a campaign's rows; raises DataError where nothing can be read from them."""
    names = history.campaigns.frame[CAMPAIGN_ID].unique().sort().to_list()
    if campaign_id not in names:
        hint = did_you_mean(campaign_id, names) or f", expected one of {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"
        raise DataError(f"there is no campaign {campaign_id!r}{hint}: ingest it with `recsys ingest --campaigns FILE`")
    rows = history.campaigns.frame.filter(pl.col(CAMPAIGN_ID) == campaign_id)
    if rows[HOLDOUT].all():
        raise DataError(f"everybody in campaign {campaign_id!r} was held out, expected some who were written to: mend the column holdout")
    if not len(history.log) or int(calendar_of(history.log).max()) < seconds(rows.select(pl.col(SENT_AT).min()).item()):
        raise DataError(f"the log ends before campaign {campaign_id!r} was sent, expected days after it: ingest a newer log")
    return rows


def _strangers(history: SendHistory, campaign_id: str, users: pl.DataFrame, since: int, days: int) -> list[str]:
    """Return what is to be said of customers whom the log lacks; raises DataError where it can tell of nobody what was bought."""
    lacking, times = int((history.user_rows(users) < 0).sum()), calendar_of(history.log)
    who = f"{lacking:,} of {counted(users.height, 'customer')} of campaign {campaign_id!r} {agree(lacking, 'is', 'are')} not in the log"
    if lacking == users.height:
        raise DataError(f"{who}, expected those who had bought before: ingest it with ids as the log has them")
    bought = np.isin(history.log.event, LABEL_EVENTS) & (times >= since) & (times < since + days * DAY)
    if not bought.any() and users.height >= MIN_USERS:  # of fewer, that nobody bought is nothing strange
        found = f"the log has no purchase of anybody within {days} days after campaign {campaign_id!r} was sent"
        raise DataError(f"{found}, expected some: ingest a log that has them")
    return [f"{who} and {agree(lacking, 'counts', 'count')} as without purchases: check that both have the same ids"] if lacking else []


def _purchases(history: SendHistory, users: pl.DataFrame, since: int, days: int) -> dict[str, np.ndarray]:
    """Return what each customer bought within some days: anything, and of what the offer is for if it is for anything special."""
    everything = users.with_columns(pl.lit(None, pl.String).alias(ITEM_ID), pl.lit(None, pl.String).alias(CATEGORY))
    found = {}
    for names, table in (((BUYERS, SPEND), everything), ((TARGET_BUYERS, TARGET_SPEND), users)):
        bought, spend = history.purchases(table, since, since + days * DAY)
        found |= {names[0]: bought.astype(np.float64), names[1]: spend}
    return found


def _notes(history: SendHistory, rows: pl.DataFrame, since: int, days: int) -> Iterator[str]:
    """Yield what makes the figures less than they seem."""
    end = int(calendar_of(history.log).max()) + 1
    if end < since + days * DAY:
        yield f"the log ends {(end - since) // DAY} days after it was sent, expected {days}: ingest a newer log and read it again"
    spread = seconds(rows.select(pl.col(SENT_AT).max()).item()) - since
    if spread >= DAY:
        yield f"it was sent over {spread // DAY + 1} days, and all is counted from the first one"
    if unpriced := rows[COST].null_count():
        yield f"the cost of {unpriced:,} of {rows.height:,} rows is not known and counts as 0"
    both = rows.group_by(USER_ID).agg(pl.col(HOLDOUT).n_unique()).filter(pl.col(HOLDOUT) > 1).height
    if both:
        verbs = agree(both, "is", "are"), agree(both, "counts", "count")
        yield f"{counted(both, 'customer')} {verbs[0]} in the holdout and written to at once, and {verbs[1]} as written to"
    near = (pl.col(SENT_AT) - rows.select(pl.col(SENT_AT).min()).item()).dt.total_seconds().abs() < days * DAY
    others = history.campaigns.frame.filter((pl.col(CAMPAIGN_ID) != rows[CAMPAIGN_ID][0]) & ~pl.col(HOLDOUT) & near)
    overlapping = rows.select(USER_ID).unique().join(others, on=USER_ID, how="semi").height
    if overlapping:
        names = others.join(rows, on=USER_ID, how="semi")[CAMPAIGN_ID].unique().sort().to_list()
        shown = ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")
        who = f"{counted(overlapping, 'customer')} {agree(overlapping, 'was', 'were')}"
        yield f"{who} in another campaign within {days} days too ({shown})"


def _judgement(extra: Effect, split: float, margin: float) -> Iterator[str]:
    """Yield what the effects may be taken for."""
    if split < SRM_ALARM:
        yield f"the sizes of the holdout and of the others are not the planned ones (p {split:.1g}): the comparison is not valid"
    if np.isnan(extra.low):
        yield f"there are fewer than {MIN_USERS} customers on one side: no effect can be told"
    elif extra.low <= 0 <= extra.high:
        yield "the extra spend is not told from chance"
    if margin == 1:
        yield "all of the extra spend counts as profit: set campaigns.margin to the share that stays"


def _segments(history: SendHistory, users: pl.DataFrame, since: int, spend: np.ndarray) -> list[SegmentOutcome]:
    """Return the extra spend of customers by recency and frequency before the campaign."""
    days = PurchaseDays.of(history.log, since)
    place, held = history.user_rows(users), users[HOLDOUT].to_numpy()
    count = np.append(days.per_user(), 0)[place]
    last = np.full(days.n_users + 1, -np.inf)
    last[days.user] = days.time  # sorted by day: the last assignment stays
    recent, often = last[place] >= since - RECENT_DAYS * DAY, count > np.median(count)
    more = f"more than {np.median(count):,.0f} purchase days"
    groups = {
        f"bought within {RECENT_DAYS} days before, {more}": recent & often,
        f"bought within {RECENT_DAYS} days before, fewer": recent & ~often,
        f"bought longer ago, {more}": ~recent & often,
        "bought longer ago or never, fewer": ~recent & ~often,
    }
    return [
        SegmentOutcome(name, int((mask & ~held).sum()), int((mask & held).sum()), unpaired(spend[mask & held], spend[mask & ~held]))
        for name, mask in groups.items()
        if mask.any()
    ]
