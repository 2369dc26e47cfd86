"""Settings of a simulation."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ClickConfig(BaseModel):
    """Settings of `eval.simulation.click_model`.

    Attributes
    ----------
    decay : place k is examined with probability k ** -decay
    bought, other : probability of a click on an examined item that the user bought, or did not buy
    explore : probability that a list is drawn at random from both variants' items
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    decay: float = Field(default=1.0, ge=0)
    bought: float = Field(default=0.6, ge=0, le=1)
    other: float = Field(default=0.02, ge=0, le=1)
    explore: float = Field(default=0.9, gt=0, le=1)
    seed: int = 0


class SearchLogConfig(BaseModel):
    """Settings of `eval.simulation.search_log`.

    Attributes
    ----------
    searches : at most so many, drawn from what households look for
    places : items that a list shows
    anonymous : share of the searches whose user the log does not know
    shortened, typo, reordered : share of the searches that are typed so
    clicks : of which `explore` is not used
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    searches: int = Field(default=40_000, ge=1)
    places: int = Field(default=20, ge=1)
    anonymous: float = Field(default=0.3, ge=0, le=1)
    shortened: float = Field(default=0.2, ge=0, le=1)
    typo: float = Field(default=0.1, ge=0, le=1)
    reordered: float = Field(default=0.1, ge=0, le=1)
    clicks: ClickConfig = ClickConfig()
    seed: int = 0

    @property
    def forms(self) -> tuple[float, ...]:
        """Shares of the forms of `eval.search.personal.FORMS`, in its order."""
        varied = (self.shortened, self.typo, self.reordered)
        return (max(1 - sum(varied), 0.0), *varied)


class SimulateConfig(BaseModel):
    """How variants are compared.

    Attributes
    ----------
    horizon_days : purchases of this many days count, from the visit's day on
    share_b : share of the users in variant b
    salt : of the hash that assigns users to variants
    same_arms_runs : splits of the A/A test; 0 leaves it out
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    horizon_days: int = Field(default=1, ge=1)
    share_b: float = Field(default=0.5, gt=0, lt=1)
    salt: str = "recsys"
    same_arms_runs: int = Field(default=500, ge=0)
    clicks: ClickConfig = ClickConfig()
