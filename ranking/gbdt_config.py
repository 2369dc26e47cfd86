"""Configuration of the gradient-boosted trees."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class GBDTConfig(BaseModel):
    """LightGBM's parameters for the base booster; the residual booster shares `rounds`, `min_leaf` and `l2`.

    Attributes
    ----------
    users : users per window, at most.
    few_buyer_users : users per window, at most, of lists that hold only items with few buyers; 0 makes no such lists.
    hidden_items : share of the items whose purchases are hidden for further such lists; 0 hides none.
    visitors : anonymous baskets per window, at most, sampled from the window's baskets.
    negatives : negative candidates that the base booster is fitted on, at most; sampled ones are weighted up, so log
        odds stay unbiased.
    boosters : models that are averaged to lower the variance, each with its own seed and negatives.
    features, rows : fraction of the features and of the rows that each tree sees.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    users: int = Field(default=4000, ge=1)
    few_buyer_users: int = Field(default=1000, ge=0)
    hidden_items: float = Field(default=0.2, ge=0, lt=1)
    visitors: int = Field(default=500, ge=0)
    negatives: int = Field(default=500_000, ge=1)
    boosters: int = Field(default=3, ge=1)
    rounds: int = Field(default=75, ge=1)
    learning_rate: float = Field(default=0.12, gt=0)
    leaves: int = Field(default=31, ge=2)
    min_leaf: int = Field(default=300, ge=1)
    features: float = Field(default=0.4, gt=0, le=1)
    rows: float = Field(default=0.7, gt=0, le=1)
    l2: float = Field(default=20.0, ge=0)
