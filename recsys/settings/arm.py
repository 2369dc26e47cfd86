"""One arm of a simulation: what answers, and how often it learns what has happened."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from eval.baselines.registry import BASELINES, NEED_TEXTS, NEED_TIMES

OURS = "ours"
SYSTEMS = (OURS, *(name for name in BASELINES if name not in (*NEED_TEXTS, *NEED_TIMES)))


class ArmConfig(BaseModel):
    """system: ours, or a baseline with its settings of [baselines.all]. retrain_days: 0, trained once, at the start.

    history: how far a user's own events reach: to the last refresh, as `recsys recommend` has them, or to the day's begin, as a service
    that is told of every purchase has them. cross_encoder: false leaves the blend's order as it is.
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
            raise ValueError(f"there is no system {value!r}: choose among {', '.join(SYSTEMS)}")
        return value
