"""Sizes of the towers: read by the user tower's readers and by the towers themselves."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class TowerConfig(BaseModel):
    """Sizes of the towers. dim: of the shared space. history: how much of a user's past is read, newest first.

    reads: histories as a "set" of distinct items or as a "sequence" of events; "auto" lets the shop's log decide (`recsys.choices`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    dim: int = Field(default=128, ge=8)
    hidden: int = Field(default=128, ge=8)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    history: int = Field(default=64, ge=1)
    reads: Literal["auto", "set", "sequence"] = "auto"
