"""The blend: gradient boosting over collaborative scores, tower score and behaviour, then over the cross-encoder's logit as well.

Two boosters in a row. The first sees every candidate and needs no text to be read. The second starts from the first one's log odds and
corrects them for the few candidates that the cross-encoder has read; it is fitted on a later window, so that it sees both scores as they
are on data that neither was fitted on. Log odds add up, so one calibration serves all candidates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from features.errors import ModelError
from features.names import BASE_LOG_ODDS, CROSS_ENCODER_LOGIT, OWN_COUNT, TOWER_RANK, TOWER_SCORE
from ranking.lightgbm_import import lightgbm

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import lightgbm as lgb

    from retrieval.candidates import Candidates

    Labelled = tuple[Candidates, np.ndarray]  # and which of them were bought, bool (b, k)

CROSS_ENCODER = CROSS_ENCODER_LOGIT
TOWERS = (TOWER_SCORE, TOWER_RANK)  # evidence that the towers give
NO_SPLIT = 1e30  # a gain that no split has
CORRECTION = (CROSS_ENCODER, BASE_LOG_ODDS, OWN_COUNT)  # what the second booster sees


class GBDTConfig(BaseModel):
    """LightGBM's dials, for the first booster; of them the correction takes rounds, leaf size and l2.

    boosters: how many are averaged, each with a seed and negatives of its own: what one of them says by chance, the others do not.
    users: of a window, at most. visitors: strangers with a basket, made of the window's baskets. negatives: candidates not bought that the
    first booster is fitted on, at most; each counts for the ones left out, so that log odds stay what they are.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    users: int = Field(default=4000, ge=1)
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


@dataclass(frozen=True)
class Booster:
    """LightGBM models, whose mean counts, and the names of the evidence they read, in order."""

    models: tuple[lgb.Booster, ...]
    names: tuple[str, ...]

    @property
    def idle(self) -> bool:
        """Whether it splits on nothing, and so says the same of all."""
        return not self.gain().any()

    def gain(self) -> np.ndarray:
        """What each feature's splits gained, float64 (features,)."""
        return self._mean([model.feature_importance("gain") for model in self.models])

    def raw(self, rows: np.ndarray) -> np.ndarray:
        """Log odds of rows (n, features), float64 (n,)."""
        # One thread: who asks for many users has a thread for each part of them.
        return self._mean([model.predict(rows, raw_score=True, num_threads=1) for model in self.models])

    def shares(self, rows: np.ndarray) -> np.ndarray:
        """What each feature adds to the log odds (TreeSHAP: Lundberg et al. 2020), float64 (n, features)."""
        found = self._mean([model.predict(rows, pred_contrib=True, num_threads=1) for model in self.models])
        return found[:, :-1]  # the last column is the mean

    def trees(self) -> list[dict[str, Any]]:
        """All trees, as LightGBM's JSON has them; each counts for one of `len(models)`."""
        return [tree["tree_structure"] for model in self.models for tree in model.dump_model()["tree_info"]]

    def _mean(self, parts: Sequence[Any]) -> np.ndarray:
        return np.mean([np.asarray(part) for part in parts], axis=0)

    def log_odds(self, candidates: Candidates) -> np.ndarray:
        """float32 (b, k); -inf where padded. The start score it was fitted on is not in it."""
        out = np.full(candidates.rows.shape, -np.inf, dtype=np.float32)
        valid = candidates.valid
        if valid.any():
            out[valid] = self.raw(table(candidates, self.names)[0])
        return out

    def contributions(self, candidates: Candidates) -> tuple[tuple[str, ...], np.ndarray]:
        """`shares` of candidates, float32 (b, k, features); 0 where padded."""
        out = np.zeros((*candidates.rows.shape, len(self.names)), dtype=np.float32)
        if candidates.valid.any():
            out[candidates.valid] = self.shares(table(candidates, self.names)[0])
        return self.names, out


def table(candidates: Candidates, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Evidence of all real candidates, float32 (n, features), and whose they are, int64 (n,)."""
    valid = candidates.valid
    columns = np.stack([candidates.features[name][valid] for name in names], axis=1).astype(np.float32, copy=False)
    return columns, np.nonzero(valid)[0]


def fit_base(parts: Sequence[Labelled], later: Sequence[Labelled], config: GBDTConfig, seed: int) -> tuple[Booster, float]:
    """The first booster, fitted on `parts`, and the share of its cross-entropy on `later` windows that the towers' scores save.

    It reads them unless they lose: towers are older than all other evidence, and where what sells has changed since they say what sold
    then. Looked at is what is new to a user; over the rest boosters of another seed differ more (docs/LOG.md).
    """
    names = tuple(sorted(parts[0][0].features))
    whole = fit_booster(parts, config, seed, names)
    plain = fit_booster(parts, config, seed, [name for name in names if name not in TOWERS])
    before, after = (np.concatenate([_losses_on_new(booster, *part) for part in later]) for booster in (plain, whole))
    saved = float((before - after).sum() / max(before.sum(), 1e-9))
    return whole if saved >= 0 else plain, saved


def fit_booster(parts: Sequence[Labelled], config: GBDTConfig, seed: int, names: Sequence[str] = ()) -> Booster:
    """Fit on (candidates, labels bool (b, k)) of one or more windows; the named columns of evidence are features, or else all."""
    names = tuple(names or sorted(parts[0][0].features))
    seeds = range(seed * config.boosters, (seed + 1) * config.boosters)
    return Booster(tuple(_fit_one(parts, names, config, each) for each in seeds), names)


def _fit_one(parts: Sequence[Labelled], names: Sequence[str], config: GBDTConfig, seed: int) -> lgb.Booster:
    y = np.concatenate([labels[candidates.valid] for candidates, labels in parts])
    share = min(1.0, config.negatives / max(int((~y).sum()), 1))
    kept = y | (np.random.default_rng(seed).random(len(y)) < share)
    ends = np.cumsum([int(candidates.valid.sum()) for candidates, _ in parts])[:-1]
    # Part by part: all candidates of all windows at once would be the largest thing in memory.
    x = np.concatenate([table(candidates, names)[0][mine] for (candidates, _), mine in zip(parts, np.split(kept, ends), strict=True)])
    y = y[kept]
    weight = np.where(y, 1.0, 1.0 / share).astype(np.float32)
    data = lightgbm().Dataset(x, y.astype(np.float32), weight=weight, feature_name=list(names))
    return lightgbm().train(_parameters(config, len(y), seed), data, config.rounds)


def fit_residual(candidates: Candidates, labels: np.ndarray, config: GBDTConfig, seed: int) -> Booster:
    """The second booster, on candidates that the cross-encoder has read; their scores are the first one's log odds, to begin from.

    It sees the cross-encoder's logit, the log odds, and whether the user bought the item before: with everything else it would fit the
    window's chance. A quarter of the users say when to stop, and whether it stays: unless they are foretold better with it, beyond what
    chance explains, it corrects nothing (`Booster.idle`).
    """
    lgb = lightgbm()
    x, user = table(candidates, CORRECTION)
    y, begin = labels[candidates.valid].astype(np.float32), candidates.scores[candidates.valid]
    held = user % 4 == 3
    parameters = _parameters(config, len(y), seed) | {"learning_rate": 0.03, "num_leaves": 4, "feature_fraction": 1.0, "bagging_freq": 0}
    data = lgb.Dataset(x[~held], y[~held], init_score=begin[~held], feature_name=list(CORRECTION))
    if not held.any():
        return Booster((lgb.train(parameters, data, 1),), CORRECTION)
    judge = lgb.Dataset(x[held], y[held], init_score=begin[held], reference=data)
    stop = lgb.early_stopping(10, verbose=False)
    model = lgb.train(parameters, data, config.rounds, valid_sets=[judge], callbacks=[stop])
    after = begin[held] + np.asarray(model.predict(x[held], raw_score=True))
    if not _earns(_losses(begin[held], y[held]) - _losses(after, y[held]), user[held]):
        model = lgb.train(parameters | {"min_gain_to_split": NO_SPLIT}, data, 1)
    return Booster((model,), CORRECTION)


def _losses(odds: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Binary cross-entropy of each candidate."""
    return np.logaddexp(0, odds) - y * odds


def _losses_on_new(booster: Booster, candidates: Candidates, labels: np.ndarray) -> np.ndarray:
    """Binary cross-entropy of each user's candidates together (b,), of those that the user never bought."""
    new = candidates.valid & ~(candidates.features[OWN_COUNT] > 0)
    return np.where(new, _losses(np.where(new, booster.log_odds(candidates), 0), labels), 0).sum(axis=1)


def _earns(gain: np.ndarray, user: np.ndarray) -> bool:
    """Whether what is gained a user is above 0 by more than 1.64 standard errors (one-sided, 95%)."""
    _, place = np.unique(user, return_inverse=True)
    total = np.bincount(place, weights=gain)
    return bool(total.mean() > 1.64 * total.std(ddof=1) / np.sqrt(len(total))) if len(total) > 1 else False


def _parameters(config: GBDTConfig, rows: int, seed: int) -> dict[str, Any]:
    return {
        "objective": "binary",
        "learning_rate": config.learning_rate,
        "num_leaves": config.leaves,
        # A small shop still gets trees.
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
    """LightGBM's own text, a file a model."""
    return {f"{name}.{i}.txt": model.model_to_string().encode() for i, model in enumerate(booster.models)}


def from_files(files: Mapping[str, bytes], name: str) -> Booster:
    """What `to_files` made.

    Raises
    ------
    ModelError: LightGBM cannot read it.
    """
    texts = [files[f"{name}.txt"].decode()] if f"{name}.txt" in files else []  # as models were stored before, all trees in one
    while (file := f"{name}.{len(texts)}.txt") in files:
        texts.append(files[file].decode())
    try:
        models = tuple(lightgbm().Booster(model_str=text) for text in texts)
    except lightgbm().basic.LightGBMError as error:
        raise ModelError(f"LightGBM cannot read {name} ({str(error)[:80]}): train again, or roll back") from error
    return Booster(models, tuple(models[0].feature_name()))
