"""Gradient-boosted decision trees (GBDT) over candidate features: a base booster and a residual booster.

The base booster scores every candidate from collaborative scores, the tower score and behaviour. The residual booster
starts from the base log odds and adjusts them for the few candidates that have a cross-encoder logit. It is fitted on a
later window, where it sees both scores out of sample. Log odds add up, so one calibration serves all candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from features.behavior.item_stats import FEW_BUYERS
from features.errors import ModelError
from features.names import (
    BASE_LOG_ODDS,
    BUYERS_EVER,
    CROSS_ENCODER_LOGIT,
    ITEM_STAT_PREFIX,
    OWN_COUNT,
    REVIEW_EASE_SCORE,
    TOWER_RANK,
    TOWER_SCORE,
)
from ranking.lightgbm_import import lightgbm
from retrieval.significance import significant_gain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import lightgbm as lgb

    from ranking.gbdt_config import GBDTConfig
    from retrieval.candidates import Candidates

    # Candidates, whether each was bought, bool (b, k), and what one that was not bought counts, 1 by default.
    Labelled = tuple[Candidates, np.ndarray] | tuple[Candidates, np.ndarray, float]

CROSS_ENCODER = CROSS_ENCODER_LOGIT
TOWERS = (TOWER_SCORE, TOWER_RANK)  # candidate features from the towers
NO_SPLIT = 1e30  # a minimum gain that no split reaches
# `BASE_LOG_ODDS` is called "blend" in stored models.
RESIDUAL = (CROSS_ENCODER, BASE_LOG_ODDS, OWN_COUNT)  # features of the residual booster
BUYERS = ITEM_STAT_PREFIX + BUYERS_EVER
RESIDUAL_FEW = (CROSS_ENCODER, BASE_LOG_ODDS, BUYERS)  # of one that corrects only items with few buyers


@dataclass(frozen=True)
class Booster:
    """LightGBM models whose outputs are averaged.

    Attributes
    ----------
    names : the candidate features that the models take, in order.
    """

    models: tuple[lgb.Booster, ...]
    names: tuple[str, ...]

    @property
    def idle(self) -> bool:
        """Whether no tree splits, so that all candidates get the same log odds."""
        return not self.gain().any()

    @property
    def few_only(self) -> bool:
        """Whether it is a residual booster that corrects only items with few buyers."""
        return self.names == RESIDUAL_FEW

    def gain(self) -> np.ndarray:
        """Return the total gain of each feature's splits, float64 (features,)."""
        return self._mean([model.feature_importance("gain") for model in self.models])

    def raw(self, rows: np.ndarray) -> np.ndarray:
        """Return the log odds of rows (n, features), float64 (n,)."""
        # One thread: batch requests already run one thread per group of users.
        return self._mean([model.predict(rows, raw_score=True, num_threads=1) for model in self.models])

    def shares(self, rows: np.ndarray) -> np.ndarray:
        """Return what each feature adds to the log odds (TreeSHAP: Lundberg et al. 2020), float64 (n, features)."""
        contributions = self._mean([model.predict(rows, pred_contrib=True, num_threads=1) for model in self.models])
        return contributions[:, :-1]  # the last column is the expected value

    def trees(self) -> list[dict[str, Any]]:
        """Return all trees as in LightGBM's JSON; a tree's weight is 1 / `len(models)`."""
        return [tree["tree_structure"] for model in self.models for tree in model.dump_model()["tree_info"]]

    def _mean(self, parts: Sequence[Any]) -> np.ndarray:
        return np.mean([np.asarray(part) for part in parts], axis=0)

    def log_odds(self, candidates: Candidates) -> np.ndarray:
        """Return the log odds, float32 (b, k), -inf for padding; a residual booster's exclude the start score."""
        out = np.full(candidates.rows.shape, -np.inf, dtype=np.float32)
        valid = candidates.valid
        if valid.any():
            out[valid] = self.raw(table(candidates, self.names)[0])
        return out

    def contributions(self, candidates: Candidates) -> tuple[tuple[str, ...], np.ndarray]:
        """Return the feature names and `shares` of candidates, float32 (b, k, features); 0 for padding."""
        out = np.zeros((*candidates.rows.shape, len(self.names)), dtype=np.float32)
        if candidates.valid.any():
            out[candidates.valid] = self.shares(table(candidates, self.names)[0])
        return self.names, out


@dataclass(frozen=True)
class BaseFit:
    """A fitted base booster.

    Attributes
    ----------
    booster : the one that was chosen.
    without_towers : the one that does not read the towers' scores.
    saved : relative reduction of the cross-entropy by the towers' scores; negative if they raise it.
    """

    booster: Booster
    without_towers: Booster
    saved: float

    @property
    def reads_towers(self) -> bool:
        """Whether the chosen booster reads the towers' scores."""
        return TOWERS[0] in self.booster.names


def table(candidates: Candidates, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the named features of the n real candidates, float32 (n, features), and their users, int64 (n,).

    A model that has learned from reviews goes on without them in a shop that no longer brings any: their feature is nan.
    """
    valid, features = candidates.valid, candidates.features
    if REVIEW_EASE_SCORE in names and REVIEW_EASE_SCORE not in features:
        features = {**features, REVIEW_EASE_SCORE: np.full(valid.shape, np.nan, dtype=np.float32)}
    columns = np.stack([features[name][valid] for name in names], axis=1).astype(np.float32, copy=False)
    return columns, np.nonzero(valid)[0]


def fit_base(parts: Sequence[Labelled], later: Sequence[Labelled], config: GBDTConfig, seed: int) -> BaseFit:
    """Fit the base booster on `parts`, with the towers' scores if they lower the cross-entropy on the `later` windows.

    The towers are trained on an earlier period than all other features, so their scores mislead where sales have
    shifted since. Only items new to the user are compared: over the rest, boosters that differ in their seed alone
    differ more (docs/LOG.md).
    """
    names = tuple(sorted(parts[0][0].features))
    with_towers = fit_booster(parts, config, seed, names)
    without = fit_booster(parts, config, seed, [name for name in names if name not in TOWERS])
    before, after = (np.concatenate([_losses_on_new(booster, part) for part in later]) for booster in (without, with_towers))
    saved = float((before - after).sum() / max(before.sum(), 1e-9))
    return BaseFit(with_towers if saved >= 0 else without, without, saved)


def fit_booster(parts: Sequence[Labelled], config: GBDTConfig, seed: int, names: Sequence[str] = ()) -> Booster:
    """Fit on candidates and labels, bool (b, k), of one or more windows; `names` selects the features, empty for all."""
    names = tuple(names or sorted(parts[0][0].features))
    seeds = range(seed * config.boosters, (seed + 1) * config.boosters)
    return Booster(tuple(_fit_one(parts, names, config, each) for each in seeds), names)


def continue_base(base: Booster, parts: Sequence[Labelled], config: GBDTConfig, seed: int, rounds: int) -> Booster:
    """Return a base booster with `rounds` more trees, fitted on `parts` over what its own trees leave; 0 returns it as it is."""
    if not rounds:
        return base
    seeds = range(seed * config.boosters, (seed + 1) * config.boosters)
    changed = config.model_copy(update={"rounds": rounds})
    models = (_fit_one(parts, base.names, changed, each, model) for each, model in zip(seeds, base.models, strict=True))
    return Booster(tuple(models), base.names)


def _fit_one(
    parts: Sequence[Labelled], names: Sequence[str], config: GBDTConfig, seed: int, begun: lgb.Booster | None = None
) -> lgb.Booster:
    counted = [_counted(part) for part in parts]
    y = np.concatenate([labels[candidates.valid] for candidates, labels, _ in counted])
    counts = np.concatenate([np.full(int(candidates.valid.sum()), count, dtype=np.float32) for candidates, _, count in counted])
    share = min(1.0, config.negatives / max(int((~y).sum()), 1))
    sampled = y | (np.random.default_rng(seed).random(len(y)) < share)
    ends = np.cumsum([int(candidates.valid.sum()) for candidates, _, _ in counted])[:-1]
    # Part by part: a table of all candidates of all windows would dominate the memory.
    x = np.concatenate([table(candidates, names)[0][rows] for (candidates, *_), rows in zip(parts, np.split(sampled, ends), strict=True)])
    y = y[sampled]
    weight = np.where(y, 1.0, counts[sampled] / share).astype(np.float32)
    data = lightgbm().Dataset(x, y.astype(np.float32), weight=weight, feature_name=list(names))
    return lightgbm().train(_parameters(config, len(y), seed), data, config.rounds, init_model=begun)


def _counted(part: Labelled) -> tuple[Candidates, np.ndarray, float]:
    """Return candidates, labels, and what a candidate that was not bought counts."""
    return part if len(part) == 3 else (*part, 1.0)


def few_buyers(candidates: Candidates) -> np.ndarray:
    """Return which candidates are items with few buyers, or none, bool (b, k)."""
    return candidates.valid & (candidates.features[BUYERS] < FEW_BUYERS)


def fit_residual(part: Labelled, config: GBDTConfig, seed: int, names: tuple[str, ...] = RESIDUAL) -> Booster:
    """Fit the residual booster on candidates with a cross-encoder logit, starting from their scores: the base log odds.

    Its features are few (`RESIDUAL` or `RESIDUAL_FEW`): with all of them it would overfit the window. A quarter of the
    users is held out for early stopping and for a test: unless the booster lowers their cross-entropy significantly, a
    booster without splits (`Booster.idle`) is returned. With `RESIDUAL_FEW` it must lower that of a booster without the
    logit: base log odds are easily corrected by the number of buyers, and that is no reason to read a text.
    """
    lgb = lightgbm()
    candidates, labels, counts = _counted(part)
    x, user = table(candidates, names)
    y, begin = labels[candidates.valid].astype(np.float32), candidates.scores[candidates.valid]
    weight, held = np.where(y, 1.0, counts).astype(np.float32), user % 4 == 3
    parameters = _parameters(config, len(y), seed) | {"learning_rate": 0.03, "num_leaves": 4, "feature_fraction": 1.0, "bagging_freq": 0}

    def dataset(rows: np.ndarray, of: np.ndarray, like: lgb.Dataset | None = None) -> lgb.Dataset:
        given = {"weight": weight[of], "init_score": begin[of], "reference": like}
        return lgb.Dataset(rows[of], y[of], feature_name=list(names), **given)

    data = dataset(x, ~held)
    if not held.any():
        return Booster((lgb.train(parameters, data, 1),), names)

    def corrected(rows: np.ndarray) -> tuple[lgb.Booster, np.ndarray]:
        """Fit on the other users, and return the model and the log odds of those held out."""
        training = dataset(rows, ~held)
        validation = dataset(rows, held, training)
        stop = lgb.early_stopping(10, verbose=False)
        model = lgb.train(parameters, training, config.rounds, valid_sets=[validation], callbacks=[stop])
        return model, begin[held] + np.asarray(model.predict(rows[held], raw_score=True))

    model, after = corrected(x)
    silent = np.where(np.array(names) == CROSS_ENCODER, np.float32(np.nan), x)
    before = corrected(silent)[1] if names == RESIDUAL_FEW else begin[held]
    _, place = np.unique(user[held], return_inverse=True)
    if not significant_gain(np.bincount(place, weights=weight[held] * (_losses(before, y[held]) - _losses(after, y[held])))):
        model = lgb.train(parameters | {"min_gain_to_split": NO_SPLIT}, data, 1)
    return Booster((model,), names)


def _losses(odds: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the binary cross-entropy of each candidate."""
    return np.logaddexp(0, odds) - y * odds


def _losses_on_new(booster: Booster, part: Labelled) -> np.ndarray:
    """Return the summed binary cross-entropy of each user's candidates that the user never bought, (b,)."""
    candidates, labels, counts = _counted(part)
    new = candidates.valid & ~(candidates.features[OWN_COUNT] > 0)
    losses = _losses(np.where(new, booster.log_odds(candidates), 0), labels) * np.where(labels, 1.0, counts)
    return np.where(new, losses, 0).sum(axis=1)


def _parameters(config: GBDTConfig, rows: int, seed: int) -> dict[str, Any]:
    return {
        "objective": "binary",
        "learning_rate": config.learning_rate,
        "num_leaves": config.leaves,
        # In a small shop, `min_leaf` would leave no split.
        "min_child_samples": max(1, min(config.min_leaf, rows // 100)),
        "feature_fraction": config.features,
        "bagging_fraction": config.rows,
        "bagging_freq": 1,
        "lambda_l2": config.l2,
        "seed": seed,
        "deterministic": True,
        "force_row_wise": True,
        "verbose": -1,
    }


def to_files(booster: Booster, name: str) -> dict[str, bytes]:
    """Return each model in LightGBM's text format, one file a model."""
    return {f"{name}.{i}.txt": model.model_to_string().encode() for i, model in enumerate(booster.models)}


def from_files(files: Mapping[str, bytes], name: str) -> Booster:
    """Read the boosters that `to_files` wrote.

    Raises
    ------
    ModelError
        If LightGBM cannot read a file.
    """
    texts = [files[f"{name}.txt"].decode()] if f"{name}.txt" in files else []  # older models hold all trees in one file
    while (file := f"{name}.{len(texts)}.txt") in files:
        texts.append(files[file].decode())
    try:
        models = tuple(lightgbm().Booster(model_str=text) for text in texts)
    except lightgbm().basic.LightGBMError as error:
        raise ModelError(f"LightGBM cannot read {name} ({str(error)[:80]}): train again, or roll back") from error
    return Booster(models, tuple(models[0].feature_name()))
