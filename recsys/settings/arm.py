"""Settings of one arm of a simulated A/B test: the system that answers, and how often it is refreshed and retrained."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from eval.baselines.registry import BASELINES, NEED_TEXTS, NEED_TIMES

OURS = "ours"
SYSTEMS = (OURS, *(name for name in BASELINES if name not in (*NEED_TEXTS, *NEED_TIMES)))


class ArmConfig(BaseModel):
    """One arm of a simulated A/B test.

    Attributes
    ----------
    system : "ours", or a baseline with its settings of [baselines.all].
    refresh_days : days from one refresh to the next.
    retrain_days : days from one training to the next; 0 trains once, at the start.
    history : how recent a user's own events are. "refresh": up to the last refresh, as in `recsys recommend`. "live": up to the
        start of the day, as in a service that receives every purchase.
    cross_encoder : False keeps the order of the gradient-boosted ranker.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    system: str = OURS
    refresh_days: int = Field(default=1, ge=1)
    retrain_days: int = Field(default=0, ge=0)
    history: Literal["refresh", "live"] = "refresh"
    cross_encoder: bool = True

    @field_validator("system")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in SYSTEMS:
            raise ValueError(f"system {value!r} does not exist: choose one of {', '.join(SYSTEMS)}")
        return value
