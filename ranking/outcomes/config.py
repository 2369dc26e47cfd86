"""Configuration of the models of customers."""

from __future__ import annotations

from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field


class OutcomeConfig(BaseModel):
    """What models of customers learn from, and LightGBM's parameters.

    Attributes
    ----------
    windows : past moments that are learned from, at most.
    stride : days between two of them; whole weeks keep the weekday.
    customers : customers of one moment, at most; a sample of more.
    least : customers that the newest moment must have, and a twentieth of them must have bought again; with fewer there is no model.
    folds : parts of the customers; each part is predicted by boosters that have not seen it, and these predictions calibrate.
    features, rows : fraction of the features and of the rows that each tree sees.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    leaf_parts: ClassVar[int] = 50
    windows: int = Field(default=8, ge=1)
    stride: int = Field(default=14, ge=1)
    customers: int = Field(default=10_000, ge=1)
    least: int = Field(default=100, ge=20)
    folds: int = Field(default=3, ge=2)
    rounds: int = Field(default=100, ge=1)
    learning_rate: float = Field(default=0.05, gt=0)
    leaves: int = Field(default=8, ge=2)
    min_leaf: int = Field(default=50, ge=1)
    features: float = Field(default=0.5, gt=0, le=1)
    rows: float = Field(default=0.7, gt=0, le=1)
    l2: float = Field(default=10.0, ge=0)
