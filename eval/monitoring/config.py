"""Settings of the watch over negative reviews, and over customers who drift away."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class WatchConfig(BaseModel):
    """How surges of negative reviews are found.

    Attributes
    ----------
    false_alarm_days : days between false alarms, on average at least, over all series together
    half_life : days after which a day weighs half in the share before
    margin : a share so much larger than before is no surge
    effects : factors of the share that a surge may have, with equal weights
    stake_peak : negative reviews a day of the series that are watched most sharply
    at_least : reviews that a series must have, weighed by age, before it is watched
    prior : negative reviews that a series' share before is drawn to the mean of all series with
    week_prior : the same for the share of a day of the week
    pairs_prior : reviews that a series' overdispersion is drawn to that of all series with
    end_odds : an alert ends once the latest days are so many times likelier under the share before than under that of the surge
    end_days : days that must show it, at least
    settle_days : after so many days the share of the alert counts as the usual one, and the alert ends
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    false_alarm_days: float = Field(default=365.0, ge=1)
    half_life: float = Field(default=60.0, gt=0)
    margin: float = Field(default=0.05, ge=0)
    effects: tuple[float, ...] = (1.5, 2.0, 3.0)
    stake_peak: float = Field(default=2.0, gt=0)
    at_least: float = Field(default=20.0, ge=0)
    prior: float = Field(default=1.0, gt=0)
    week_prior: float = Field(default=100.0, gt=0)
    pairs_prior: float = Field(default=10_000.0, gt=0)
    end_odds: float = Field(default=20.0, gt=1)
    end_days: int = Field(default=3, ge=1)
    settle_days: int = Field(default=28, ge=1)
