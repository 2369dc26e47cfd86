"""Ablations of our recommender: each lacks one part.

Only the gradient-boosted ranker is refitted, not the towers or the cross-encoder. Each ablated ranking is fitted on
the same candidates of the same windows as the whole one, without the features of its part, and then calibrated. It is
evaluated on the same candidates as well. The ablation of the towers also lacks the candidates that only they
retrieved.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from features.behavior.user_item import behavior_features
from features.data.histories import Histories
from features.names import ARRIVAL_SCORE, FUSED_SCORE, OWN_COUNT, TOWER_RANK, WORDS_KNN, WORDS_LAST, WORDS_SIMILARITY
from ranking import gbdt
from ranking.calibration import Calibration
from ranking.gbdt import BUYERS, Booster, fit_booster
from ranking.ranker import GBDTRanker, with_features
from recsys.training.ranking import fit_residual_and_calibration
from retrieval.hybrid import FUSION

if TYPE_CHECKING:
    from collections.abc import Mapping

    from features.behavior.item_stats import ItemStats
    from ranking.cross_encoder.trainer import TrainingPairs
    from recsys.artifacts.ranking import Ranking
    from recsys.recommend.pipeline import Recommender
    from recsys.training.job import RankingData
    from retrieval.candidates import Candidates

OURS = "ours"
_LEAST_SHARE = 1e-4  # of a fused score: every source that names an item adds more


@dataclass(frozen=True)
class Part:
    """A part that an ablation leaves out.

    Attributes
    ----------
    features : tuple of str
        The kinds of candidate features that are left out; see `kind_of`.
    reads : bool
        Whether the cross-encoder stays.
    """

    name: str
    note: str
    features: tuple[str, ...] = ()
    reads: bool = True


PARTS = (
    Part("cross-encoder", "same gradient-boosted ranker and candidates, no cross-encoder; calibrated again", reads=False),
    Part(
        "towers",
        "without their features and the candidates that only they retrieved; ranker, residual booster and calibration fitted again",
        ("towers",),
    ),
    Part("collaborative", "same candidates without collaborative scores and fused rank; fitted again", ("collaborative", FUSED_SCORE)),
    Part("behaviour", "same candidates without counts, recency, sales, categories, brands and prices; fitted again", ("behaviour",)),
    Part("text", "no towers, scores of words or cross-encoder; ranker and calibration fitted again", ("towers", "words"), reads=False),
)


def behaviour_names(stats: ItemStats) -> frozenset[str]:
    """Return the names of the behaviour features that `with_features` adds."""
    return frozenset(behavior_features(Histories.of_baskets([], 0), np.zeros((0, 1), dtype=np.int64), stats))


def kind_of(name: str, behaviour: frozenset[str]) -> str:
    """Return which part of the system a candidate feature comes from."""
    if name in behaviour:
        return "behaviour"
    if name in gbdt.TOWERS:
        return "towers"
    if name in (WORDS_LAST, WORDS_SIMILARITY, WORDS_KNN):
        return "words"
    return name if name in (FUSED_SCORE, ARRIVAL_SCORE) else "collaborative"


def without(candidates: Candidates, part: Part, behaviour: frozenset[str]) -> tuple[Candidates, np.ndarray]:
    """Return the candidates as they would be without a part, and their former places, int64 (b, k), padded with -1."""
    features = {name: column for name, column in candidates.features.items() if kind_of(name, behaviour) not in part.features}
    for name in (OWN_COUNT, BUYERS):  # the residual booster needs them
        if name not in features:
            features[name] = np.full(candidates.rows.shape, np.nan, dtype=np.float32)
    place = np.where(candidates.valid, np.arange(candidates.rows.shape[1]), -1)
    if "towers" in part.features:
        rank = candidates.features[TOWER_RANK]
        fused = candidates.features[FUSED_SCORE] - np.where(np.isnan(rank), 0, 1 / (FUSION + 1 + rank))
        features[FUSED_SCORE] = fused.astype(np.float32)
        place = np.where(fused > _LEAST_SHARE, place, -1)
        place = np.take_along_axis(place, np.argsort(place < 0, axis=1, kind="stable"), axis=1)
    return replace(candidates, features=features).take(place), place


@dataclass(frozen=True)
class Ablated:
    """The fitted models of an ablated ranking."""

    first: Booster
    correction: Booster
    calibration: Calibration

    def to_files(self) -> dict[str, bytes]:
        return gbdt.to_files(self.first, "blend") | gbdt.to_files(self.correction, "correction") | self.calibration.to_files()

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Ablated:
        return cls(gbdt.from_files(files, "blend"), gbdt.from_files(files, "correction"), Calibration.from_files(files))


def fit_without(part: Part, data: RankingData, ranking: Ranking, behaviour: frozenset[str]) -> Ablated:
    """Fit a ranking without a part, on the data that the whole ranking was fitted on."""

    def narrowed(pairs: TrainingPairs) -> TrainingPairs:
        candidates, place = without(pairs.candidates, part, behaviour)
        labels = np.take_along_axis(pairs.labels, np.maximum(place, 0), axis=1) & (place >= 0)
        return replace(pairs, candidates=candidates, labels=labels)

    first = ranking.base
    if part.features:
        parts = [narrowed(pairs) for pairs in data.base]
        names = [name for name in ranking.base.names if name in parts[0].candidates.features]
        first = fit_booster([pairs.labelled for pairs in parts], data.settings.gbdt, data.seed, names)
    few = None if data.few_residual is None else narrowed(data.few_residual)
    ablated = replace(data, residual=narrowed(data.residual), calibration=narrowed(data.calibration), few_residual=few)
    return Ablated(first, *fit_residual_and_calibration(first, ranking.cross_encoder if part.reads else None, ablated))


@dataclass(frozen=True)
class Variants:
    """Our recommender and its ablations, which rank the same candidates.

    Attributes
    ----------
    seconds : dict of str to float
        The time that each has taken so far, as if it had run alone.
    """

    recommender: Recommender
    ablated: Mapping[Part, Ablated]
    behaviour: frozenset[str]
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the whole recommender, then of each ablation."""
        return (OURS, *(part.name for part in self.ablated))

    def __call__(self, users: Histories, k: int, allowed: np.ndarray | None) -> dict[str, Candidates]:
        """Return the first k candidates of each, by name.

        Raises
        ------
        ValueError: the model has no ranking.
        """
        snapshot, model, ranker = self.recommender.snapshot, self.recommender.model, self.recommender.ranker
        if ranker is None or model.ranking is None:
            raise ValueError("the model is not trained, so there is nothing to leave out: run `recsys train`")
        begun = time.perf_counter()
        candidates = self.recommender.candidates(users, max(k, model.retrieval.candidates), allowed)
        candidates = with_features(candidates, snapshot.stats)
        shared = time.perf_counter() - begun
        out = {OURS: self._timed(OURS, shared, ranker, candidates, k)}
        for part, fitted in self.ablated.items():
            # As in the recommender, the cross-encoder is not run where the residual booster is idle.
            reader = model.ranking.cross_encoder if part.reads and not fitted.correction.idle else None
            other = GBDTRanker(snapshot.stats, fitted.first, fitted.correction, reader, ranker.tokens, fitted.calibration)
            out[part.name] = self._timed(part.name, shared, other, without(candidates, part, self.behaviour)[0], k)
        return out

    def _timed(self, name: str, shared: float, ranker: GBDTRanker, candidates: Candidates, k: int) -> Candidates:
        begun = time.perf_counter()
        best = self.recommender.first_places(self.recommender.with_chances(ranker.order(candidates)), k)
        self.seconds[name] = self.seconds.get(name, 0.0) + shared + time.perf_counter() - begun
        return best
