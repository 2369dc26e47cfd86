"""The blend: gradient boosting over collaborative scores, tower score and behaviour, then over the cross-encoder's logit as well.

Two boosters in a row. The first sees every candidate and needs no text to be read. The second starts from the first one's log odds and
corrects them for the few candidates that the cross-encoder has read; it is fitted on a later window, so that it sees both scores as they
are on data that neither was fitted on. Log odds add up, so one calibration serves all candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import lightgbm as lgb
import numpy as np
from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retrieval.candidates import Candidates

CROSS_ENCODER = "cross_encoder"


class BlendConfig(BaseModel):
    """LightGBM's dials, for the first booster; the correction takes a quarter of its rounds with small trees.

    users: of a window, at most. visitors: strangers with a basket, made of the window's baskets.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    users: int = Field(default=4000, ge=1)
    visitors: int = Field(default=500, ge=0)
    rounds: int = Field(default=250, ge=1)
    learning_rate: float = Field(default=0.06, gt=0)
    leaves: int = Field(default=63, ge=2)
    min_leaf: int = Field(default=200, ge=1)
    features: float = Field(default=0.6, gt=0, le=1)
    rows: float = Field(default=0.7, gt=0, le=1)
    l2: float = Field(default=5.0, ge=0)


@dataclass(frozen=True)
class Booster:
    """A LightGBM model and the names of the evidence it reads, in order."""

    model: lgb.Booster
    names: tuple[str, ...]

    def log_odds(self, candidates: Candidates) -> np.ndarray:
        """float32 (b, k); -inf where padded. The start score it was fitted on is not in it."""
        out = np.full(candidates.rows.shape, -np.inf, dtype=np.float32)
        valid = candidates.valid
        if valid.any():
            out[valid] = self.model.predict(table(candidates, self.names)[0], raw_score=True)
        return out

    def contributions(self, candidates: Candidates) -> tuple[tuple[str, ...], np.ndarray]:
        """What each feature adds to the log odds (TreeSHAP: Lundberg et al. 2020), float32 (b, k, features); 0 where padded."""
        out = np.zeros((*candidates.rows.shape, len(self.names)), dtype=np.float32)
        if candidates.valid.any():
            found = np.asarray(self.model.predict(table(candidates, self.names)[0], pred_contrib=True))
            out[candidates.valid] = found[:, :-1]  # the last column is the mean
        return self.names, out


def table(candidates: Candidates, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Evidence of all real candidates, float32 (n, features), and whose they are, int64 (n,)."""
    valid = candidates.valid
    columns = np.stack([candidates.evidence[name][valid] for name in names], axis=1).astype(np.float32, copy=False)
    return columns, np.nonzero(valid)[0]


def fit_booster(
    parts: Sequence[tuple[Candidates, np.ndarray]], config: BlendConfig, seed: int, start: Sequence[np.ndarray] | None = None
) -> Booster:
    """Fit on (candidates, labels bool (b, k)) of one or more windows; every column of evidence is a feature.

    start: log odds (b, k) to begin from, a part each.
    """
    names = tuple(sorted(parts[0][0].evidence))
    x = np.concatenate([table(candidates, names)[0] for candidates, _ in parts])
    y = np.concatenate([labels[candidates.valid] for candidates, labels in parts])
    begin = None if start is None else np.concatenate([odds[c.valid] for (c, _), odds in zip(parts, start, strict=True)])
    parameters = {
        "objective": "binary",
        "learning_rate": config.learning_rate,
        "num_leaves": config.leaves,
        # A small shop still gets trees.
        "min_child_samples": max(1, min(config.min_leaf, len(y) // 100)),
        "feature_fraction": config.features,
        "bagging_fraction": config.rows,
        "bagging_freq": 1,
        "lambda_l2": config.l2,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }
    data = lgb.Dataset(x, y.astype(np.float32), init_score=begin, feature_name=list(names))
    return Booster(lgb.train(parameters, data, config.rounds), names)


def to_files(booster: Booster, name: str) -> dict[str, bytes]:
    """LightGBM's own text."""
    return {f"{name}.txt": booster.model.model_to_string().encode()}


def from_files(files: Mapping[str, bytes], name: str) -> Booster:
    model = lgb.Booster(model_str=files[f"{name}.txt"].decode())
    return Booster(model, tuple(model.feature_name()))
