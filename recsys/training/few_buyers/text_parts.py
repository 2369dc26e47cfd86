"""What each text part of the ranking earns, by how much the log says of an item: figures of the model card.

Items of a slice are ranked among themselves in the lists of the calibration window, which training has made anyway,
with and without the part. No part was fitted on that window; whether the base booster reads the towers' scores was
partly chosen on it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from eval.metrics.intervals import Bootstrap
from eval.metrics.lists import ndcg
from eval.metrics.user_items import UserItems
from features.behavior.item_stats import FEW_BUYERS
from ranking.gbdt import BUYERS, TOWERS
from ranking.ranker import rerank_top, with_residual
from recsys.training.few_buyers.ordered import ordered_by_base

if TYPE_CHECKING:
    from collections.abc import Callable

    from ranking.cross_encoder.trainer import TrainingPairs
    from ranking.gbdt import Booster
    from recsys.artifacts.ranking import Ranking
    from recsys.training.job import RankingData

# Buyers of a slice's items at the window's start: from, and below which number.
SLICES = {"well known": (FEW_BUYERS, np.inf), "few buyers": (1, FEW_BUYERS), "never sold": (0, 1)}
TOWERS_IDLE = "the base booster does not read the towers' scores: they raise its cross-entropy in the last two windows"
PAIRS_IDLE = "on held-out users, the residual booster gains no more than chance explains"
NOBODY = "nobody bought such an item in the calibration window"

Scored = tuple["TrainingPairs", np.ndarray]  # lists and the log odds by which they are ordered


def text_parts(ranking: Ranking, without_towers: Booster | None, data: RankingData) -> dict[str, dict[str, dict[str, Any]]]:
    """Return part -> slice -> "change" of NDCG@10 with "low" and "high", NDCG@10 "without" the part and "users", or "idle" and why.

    The towers are left out where there is no base booster without them to compare with.
    """
    of_slice = {name: data.few_calibration if most <= FEW_BUYERS else data.calibration for name, (_, most) in SLICES.items()}
    base = {id(pairs): ordered_by_base(pairs, ranking.base) for pairs in of_slice.values() if pairs is not None}

    def towers(pairs: TrainingPairs) -> tuple[Scored, Scored]:
        assert without_towers is not None
        other = ordered_by_base(pairs, without_towers)
        return (base[id(pairs)], base[id(pairs)].candidates.scores), (other, other.candidates.scores)

    def cross_encoder(pairs: TrainingPairs) -> tuple[Scored, Scored]:
        plain = base[id(pairs)]
        read = rerank_top(plain.candidates, ranking.cross_encoder, data.tokens, few_only=ranking.residual.few_only)
        return (plain, with_residual(read, ranking.residual)), (plain, plain.candidates.scores)

    out: dict[str, dict[str, dict[str, Any]]] = {}
    if without_towers is not None:
        idle = TOWERS_IDLE if TOWERS[0] not in ranking.base.names else ""
        out["towers"] = {name: _earned(pairs, SLICES[name], towers, idle) for name, pairs in of_slice.items()}
    out["cross-encoder"] = {}
    for name, pairs in of_slice.items():
        speaks = not ranking.residual.idle and (name != "well known" or not ranking.residual.few_only)
        out["cross-encoder"][name] = _earned(pairs, SLICES[name], cross_encoder, "" if speaks else PAIRS_IDLE)
    return out


def _earned(
    pairs: TrainingPairs | None, buyers: tuple[float, float], both: Callable[[TrainingPairs], tuple[Scored, Scored]], idle: str
) -> dict[str, Any]:
    """Return the figures of a part on a slice."""
    if idle or pairs is None:
        return {"idle": idle or NOBODY}
    after, before = (_ndcg(*scored, buyers) for scored in both(pairs))
    change = Bootstrap().paired_difference(after, before)
    if not change.users:
        return {"idle": NOBODY}
    figures = {"change": change.value, "low": change.low, "high": change.high, "without": float(np.nanmean(before))}
    return {name: round(float(value), 5) for name, value in figures.items()} | {"users": change.users}


def _ndcg(pairs: TrainingPairs, odds: np.ndarray, buyers: tuple[float, float]) -> np.ndarray:
    """Return each user's NDCG@10 over the items of a slice, in the order of `odds`; nan where none was bought."""
    candidates = pairs.candidates
    known = candidates.features[BUYERS]
    inside = candidates.valid & (known >= buyers[0]) & (known < buyers[1])
    user, place = np.nonzero(inside & pairs.labels)
    n_items = int(candidates.rows.max(initial=0)) + 1
    bought = UserItems.of(user, candidates.rows[user, place], len(candidates.rows), n_items)
    order = np.argsort(-np.where(inside, odds, -np.inf), axis=1, kind="stable")
    rows = np.take_along_axis(np.where(inside, candidates.rows, -1), order, axis=1)
    return ndcg(rows, bought, 10)
