"""Ours without each of its parts, at the price of refitting the blend: towers and cross-encoder are not trained again.

Every ranking without a part is fitted on the same candidates of the same windows as the whole one, with what the part says of them taken
away, and calibrated anew. Judged on the same candidates too; only what nobody but the towers found is gone where the towers are.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from features.behavior.user_item import behavior_features
from features.data.histories import Histories
from ranking import gbdt
from ranking.calibration import Calibration
from ranking.cross_encoder.trainer import TrainingPairs
from ranking.gbdt import Booster, fit_booster
from ranking.ranker import GBDTRanker, with_features
from recsys.training.ranking import fit_residual_and_calibration
from retrieval.hybrid import FUSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.behavior.item_stats import ItemStats
    from recsys.artifacts.model import Ranking
    from recsys.recommend.recommender import Recommender
    from recsys.training.job import RankingData
    from retrieval.candidates import Candidates

OURS = "ours"
_LEAST_SHARE = 1e-4  # of a fused score: every source that names an item adds more


@dataclass(frozen=True)
class Part:
    """A part that can be left out. evidence: the kinds of columns that go (see `kind_of`). reads: whether the cross-encoder stays."""

    name: str
    note: str
    features: tuple[str, ...] = ()
    reads: bool = True


PARTS = (
    Part("cross-encoder", "same blend, same candidates, nothing is read; calibrated again", reads=False),
    Part("towers", "without what they alone found and what they say; blend, correction and calibration fitted again", ("towers",)),
    Part("collaborative", "same candidates without collaborative scores and fused rank; fitted again", ("collaborative", "fused")),
    Part("behaviour", "same candidates without counts, recency, sales, categories, brands and prices; fitted again", ("behaviour",)),
    Part("text", "neither towers nor cross-encoder; blend and calibration fitted again", ("towers",), reads=False),
)


def behaviour_names(stats: ItemStats) -> frozenset[str]:
    """The columns that `with_features` adds for behaviour."""
    return frozenset(behavior_features(Histories.of_baskets([], 0), np.zeros((0, 1), dtype=np.int64), stats))


def kind_of(name: str, behaviour: frozenset[str]) -> str:
    """Which part of the system a column of evidence comes from."""
    if name in behaviour:
        return "behaviour"
    if name in gbdt.TOWERS:
        return "towers"
    return name if name in ("fused", "arrival") else "collaborative"


def without(candidates: Candidates, part: Part, behaviour: frozenset[str]) -> tuple[Candidates, np.ndarray]:
    """Candidates with features as they would be without a part, and the place each had before, int64 (b, k), -1 for padding."""
    features = {name: column for name, column in candidates.features.items() if kind_of(name, behaviour) not in part.features}
    if "own_count" not in features:  # the correction reads it
        features["own_count"] = np.full(candidates.rows.shape, np.nan, dtype=np.float32)
    place = np.where(candidates.valid, np.arange(candidates.rows.shape[1]), -1)
    if "towers" in part.features:
        rank = candidates.features["tower_rank"]
        fused = candidates.features["fused"] - np.where(np.isnan(rank), 0, 1 / (FUSION + 1 + rank))
        features["fused"] = fused.astype(np.float32)
        place = np.where(fused > _LEAST_SHARE, place, -1)
        place = np.take_along_axis(place, np.argsort(place < 0, axis=1, kind="stable"), axis=1)
    return replace(candidates, features=features).take(place), place


@dataclass(frozen=True)
class Ablated:
    """The fitted parts of a ranking that lacks one."""

    first: Booster
    correction: Booster
    calibration: Calibration

    def to_files(self) -> dict[str, bytes]:
        return gbdt.to_files(self.first, "blend") | gbdt.to_files(self.correction, "correction") | self.calibration.to_files()

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Ablated:
        return cls(gbdt.from_files(files, "blend"), gbdt.from_files(files, "correction"), Calibration.from_files(files))


def fit_without(part: Part, material: RankingData, ranking: Ranking, behaviour: frozenset[str]) -> Ablated:
    """The ranking without a part, on what the whole one was fitted on."""

    def narrowed(pairs: TrainingPairs) -> TrainingPairs:
        candidates, place = without(pairs.candidates, part, behaviour)
        return TrainingPairs(candidates, np.take_along_axis(pairs.labels, np.maximum(place, 0), axis=1) & (place >= 0))

    first = ranking.base
    if part.features:
        parts = [narrowed(pairs) for pairs in material.base]
        names = [name for name in ranking.base.names if name in parts[0].candidates.features]
        first = fit_booster([pairs.labelled for pairs in parts], material.settings.blend, material.seed, names)
    less = replace(material, residual=narrowed(material.residual), calibration=narrowed(material.calibration))
    return Ablated(first, *fit_residual_and_calibration(first, ranking.cross_encoder if part.reads else None, less))


@dataclass(frozen=True)
class Variants:
    """Ours and ours without parts, answering together over the same candidates; `seconds` adds up what each would have taken alone."""

    recommender: Recommender
    ablated: Mapping[Part, Ablated]
    behaviour: frozenset[str]
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        return (OURS, *(part.name for part in self.ablated))

    def __call__(self, users: Histories, k: int, allowed: np.ndarray | None) -> dict[str, Candidates]:
        """The first k of each."""
        snapshot, model, ranker = self.recommender.snapshot, self.recommender.model, self.recommender.ranker
        if ranker is None or model.ranking is None:
            raise ValueError("the model is not trained: there is nothing to leave out")
        begun = time.perf_counter()
        found = self.recommender.candidates(users, max(k, model.retrieval.candidates), allowed)
        found = with_features(found, snapshot.stats)
        shared = time.perf_counter() - begun
        out = {OURS: self._timed(OURS, shared, ranker, found, k)}
        for part, fitted in self.ablated.items():
            # One that corrects nothing is not read, as in the recommender; each ranking has a correction of its own.
            reader = model.ranking.cross_encoder if part.reads and not fitted.correction.idle else None
            other = GBDTRanker(snapshot.stats, fitted.first, fitted.correction, reader, ranker.tokens, fitted.calibration)
            out[part.name] = self._timed(part.name, shared, other, without(found, part, self.behaviour)[0], k)
        return out

    def _timed(self, name: str, shared: float, ranker: GBDTRanker, found: Candidates, k: int) -> Candidates:
        begun = time.perf_counter()
        best = self.recommender.shown(ranker.order(found), k)
        self.seconds[name] = self.seconds.get(name, 0.0) + shared + time.perf_counter() - begun
        return best
