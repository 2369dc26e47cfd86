"""What an offer is expected to bring of each customer: uplift where an earlier campaign had a holdout, else the chance of a response."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from eval.experiment.effects import unpaired
from eval.metrics.intervals import NORMAL_95
from features.errors import DataError
from features.names import CAMPAIGN_ID, HOLDOUT, OFFER, SENT_AT, USER_ID
from features.text.plain import counted
from ranking.outcomes.response import Kind, ResponseModel, past_sends, possible_sends, why_not
from ranking.outcomes.uplift import Treatment
from recsys.apps.campaigns.learner_choice import fit_chosen
from recsys.apps.campaigns.planning.offers import Offer, table_of

if TYPE_CHECKING:
    from datetime import datetime

    from features.behavior.campaigns import SendHistory
    from recsys.settings.apps.campaigns import CampaignsConfig

By = Literal["uplift", "response"]
NO_HOLDOUT = (
    "no earlier campaign had a holdout, so nobody can tell who buys because of an offer and who would have bought anyway: "
    "this plan's holdout will tell it"
)


@dataclass(frozen=True)
class Expected:
    """What is expected, for n customers and m offers.

    Attributes
    ----------
    chance : float (n, m), of a response if the offer is sent.
    gain : float (n, m), responses that count as earned: the uplift, or the chance.
    error : relative standard error of the sum of `gain`.
    by : what customers are ranked by.
    kind : what a response is.
    notes : what it stands on, and why, each a sentence.
    """

    chance: np.ndarray
    gain: np.ndarray
    error: float
    by: By
    kind: Kind
    notes: tuple[str, ...]


def expect(history: SendHistory, offers: list[Offer], users: np.ndarray, at: tuple[datetime, int], config: CampaignsConfig) -> Expected:
    """Return what is expected of offers to customers at a moment, from what is known before it.

    Parameters
    ----------
    at : the moment, and the seed.

    Raises
    ------
    DataError
        If neither campaigns nor purchases are enough to learn from.
    """
    moment = at[0]
    sends = pl.DataFrame({USER_ID: users}, schema={USER_ID: pl.String}).join(table_of(offers), how="cross")
    x, shape = history.at(sends, moment), (len(users), len(offers))
    model, kind, notes = _response(history, offers, at, config)
    chance = model.chance(x).reshape(shape)
    trials = [_trial_for(history, offer, moment, config) for offer in offers]
    if any(trial is None for trial in trials):
        error = 0.0 if np.isnan(model.spread) else model.spread
        return Expected(chance, chance, error, "response", kind, (*notes, NO_HOLDOUT))
    gain, error, said = _uplift(history, [trial for trial in trials if trial], x.reshape(*shape, -1), at, config)
    if kind == "bought":  # learned from customers who were not written to
        chance = np.clip(chance + gain, 0, 1)
    return Expected(chance, gain, error, "uplift", kind, (*notes, *said))


def _response(
    history: SendHistory, offers: list[Offer], at: tuple[datetime, int], config: CampaignsConfig
) -> tuple[ResponseModel, Kind, list[str]]:
    moment, seed = at
    days = config.response.days
    sent = past_sends(history, moment, config.response)
    known = sent.where(~sent.frame[HOLDOUT].to_numpy()).known_at(moment, days)
    reason = why_not(known, config.response)
    if not reason:
        model = ResponseModel.fit(known, config.response, seed)
        said = f"the chance of a redemption within {days} days is learned from {len(known):,} sends, {model.responses:,} redeemed"
        return model, "redeemed", [said]
    possible = possible_sends(history, table_of(offers), moment, config.response)
    if lacking := why_not(possible, config.response):
        raise DataError(f"nothing can be learned of responses: {reason}, and of purchases {lacking}: come back with a longer log")
    model = ResponseModel.fit(possible, config.response, seed)
    first = "no campaign was sent before" if not len(sent) else f"redemptions are too few to learn from, {reason}"
    said = f"{first}: a response is a purchase of what the offer is for within {days} days"
    return model, "bought", [f"{said}, learned from {counted(len(possible), 'example')}"]


@dataclass(frozen=True)
class _Trial:
    """An earlier campaign with a holdout, and its offer if the plan has the same one."""

    campaign: str
    offer: str | None


def _trial_for(history: SendHistory, offer: Offer, moment: datetime, config: CampaignsConfig) -> _Trial | None:
    """Return the newest campaign with enough customers in both arms and a known outcome, one of the same offer before others."""
    known = history.campaigns.frame.filter(pl.col(SENT_AT) <= moment - timedelta(days=config.response.days))
    least = config.response.least // 2
    arms = (pl.col(HOLDOUT).sum().alias("held"), (~pl.col(HOLDOUT)).sum().alias("sent"), pl.col(SENT_AT).max().alias("last"))
    same = known.filter(pl.col(OFFER) == offer.name)
    for rows, name in ((same, offer.name), (known, None)):
        enough = (pl.col("held") >= least) & (pl.col("sent") >= least)
        found = rows.group_by(CAMPAIGN_ID).agg(*arms).filter(enough).sort("last", CAMPAIGN_ID)
        if found.height:
            return _Trial(found[CAMPAIGN_ID][-1], name)
    return None


def _uplift(
    history: SendHistory, trials: list[_Trial], x: np.ndarray, at: tuple[datetime, int], config: CampaignsConfig
) -> tuple[np.ndarray, float, list[str]]:
    """Return the uplift of each customer and offer, the relative error of its sum, and what was chosen."""
    moment, seed = at
    gain, errors, notes = np.zeros(x.shape[:2]), np.zeros(len(trials)), dict[str, None]()
    for trial in dict.fromkeys(trials):
        past = past_sends(history, moment, config.response, "bought", trial.campaign)
        if trial.offer is not None:
            past = past.where((past.frame[OFFER] == trial.offer).fill_null(value=False).to_numpy())
        treated, outcomes = ~past.frame[HOLDOUT].to_numpy(), past.responded.astype(np.float64)
        chosen = fit_chosen(Treatment(past.x, treated, outcomes), config.uplift, seed)
        effect = unpaired(outcomes[~treated], outcomes[treated])
        columns = [j for j, one in enumerate(trials) if one == trial]
        for j in columns:
            gain[:, j] = chosen.uplift(x[:, j])
        errors[columns] = (effect.high - effect.low) / (2 * NORMAL_95 * max(abs(effect.difference), 1e-9))
        of = "" if trial.offer is None else f", offer {trial.offer}"
        mean = f"{effect.difference:+.2%} [{effect.low:+.2%}, {effect.high:+.2%}] more customers bought than in its holdout"
        notes[f"by campaign {trial.campaign}{of}, {mean}; {chosen.choice}"] = None
    return gain, float(errors.max()), list(notes)
