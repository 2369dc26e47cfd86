"""What is said of a plan: as JSON, and in the lines that the command prints."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from features.text.plain import agree, counted, plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from recsys.apps.customers.groups import Gap


@dataclass(frozen=True)
class ProfitEstimate:
    """An amount with its 95% interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class OfferSummary:
    """An offer of the plan.

    Attributes
    ----------
    sent, held : customers who get it, and who would have.
    responses : expected of those who get it.
    earned : expected responses that count as earned: those that it adds, or all where nobody can tell.
    """

    name: str
    sent: int
    held: int
    responses: float
    earned: float
    cost: float
    profit: float


@dataclass(frozen=True)
class HoldoutSummary:
    """The holdout.

    Attributes
    ----------
    rate, spend : share of the chosen who bought what the offers are for within as many days before, and the mean spend on it.
    detectable, detectable_spend : the smallest differences of them that the campaign finds with probability 80%; nan where none can be
        found: with fewer than 20 customers on one side, where all or none bought, and where the share cannot rise or fall by as much.
    """

    share: float
    customers: int
    rate: float
    spend: float
    detectable: float
    detectable_spend: float
    days: int


@dataclass(frozen=True)
class PlanReport:
    """What is said of a plan.

    Attributes
    ----------
    by : "uplift" or "response".
    response : what a response is, "redeemed" or "bought".
    left_out : reason -> customers.
    exposure, offer_gaps : of the attributes of `campaigns.sensitive`.
    notes : what it stands on and what to mind.
    """

    campaign_id: str
    send_at: str
    by: str
    response: str
    customers: int
    sent: int
    left_out: dict[str, int]
    consent: str
    offers: list[OfferSummary]
    budget: float
    cost: float
    profit: ProfitEstimate
    holdout: HoldoutSummary | None
    exposure: list[Gap]
    offer_gaps: dict[str, list[Gap]]
    exposure_limit: float
    notes: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return the stable form of `--json`; what is not known is null."""
        return finite(asdict(self))

    def lines(self) -> Iterator[str]:
        """Yield what the command prints."""
        yield f"Campaign {plain(self.campaign_id)}, to be sent on {self.send_at}, by {self.by}"
        yield f"{counted(self.sent, 'customer')} of {self.customers:,} {agree(self.sent, 'gets', 'get')} an offer"
        for reason, count in self.left_out.items():
            yield f"left out: {count:,}, {reason}"
        yield f"consent: {self.consent}"
        what = "extra responses" if self.by == "uplift" else "responses"
        for offer in self.offers:
            expected = offer.earned if self.by == "uplift" else offer.responses
            head = f"{plain(offer.name)}: {offer.sent:,} sent, {offer.held:,} held out, {expected:,.1f} {what} expected"
            yield f"{head}, cost {offer.cost:,.2f}, profit {offer.profit:,.2f}"
        yield f"cost {self.cost:,.2f} of a budget of {self.budget:,.2f}"
        yield f"expected profit {self.profit.value:,.2f} [{self.profit.low:,.2f}, {self.profit.high:,.2f}]"
        if held := self.holdout:
            head = f"holdout: {held.share:.0%}, {counted(held.customers, 'customer')}; of the chosen {held.rate:.1%} bought and"
            before = f"spent {held.spend:,.2f} each on what the offers are for within {held.days} days before"
            amounts = (f"{held.detectable:.1%}", held.detectable), (f"{held.detectable_spend:,.2f}", held.detectable_spend)
            found = " or of ".join(shown for shown, value in amounts if not math.isnan(value))
            yield f"{head} {before}: " + (f"a difference of {found} will be found" if found else "no difference will be found")
        yield from self._fairness()
        for note in self.notes:
            yield f"note: {plain(note)}"

    def _fairness(self) -> Iterator[str]:
        for gap in self.exposure:
            yield gap.exposure("an offer", self.exposure_limit)
        for name, gaps in self.offer_gaps.items():
            if gaps and max(gap.mean for gap in gaps) - min(gap.mean for gap in gaps) < 1e-9:
                yield f"{name}: {gaps[0].mean:.2f} for all groups alike"
                continue
            for gap in gaps:
                head = f"{name}, {plain(gap.attribute)} {plain(gap.group)}: {gap.mean:.2f} on average"
                yield f"{head}, {gap.gap:+.2f} {gap.interval('+.2f')} from all"


def finite(value: Any) -> Any:
    """Return a value for JSON, with null in place of nan and infinity."""
    if isinstance(value, dict):
        return {key: finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
