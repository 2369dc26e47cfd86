"""What text parts earn by slice, on lists whose figures can be computed on paper."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from features.data.histories import Histories
from ranking.cross_encoder.trainer import TrainingPairs
from ranking.gbdt import BUYERS, CROSS_ENCODER, RESIDUAL, RESIDUAL_FEW
from recsys.training.few_buyers.text_parts import NOBODY, PAIRS_IDLE, TOWERS_IDLE, text_parts
from recsys.training.job import RankingData
from retrieval.candidates import Candidates

if TYPE_CHECKING:
    from recsys.artifacts.ranking import Ranking
    from recsys.settings.settings import Settings

USERS = 30
SECOND = 1 / np.log2(3)  # NDCG of the only hit at the second place


@dataclass(frozen=True)
class Column:
    """A booster that returns one feature."""

    feature: str
    names: tuple[str, ...]
    idle: bool = False

    @property
    def few_only(self) -> bool:
        return self.names == RESIDUAL_FEW

    def log_odds(self, candidates: Candidates) -> np.ndarray:
        return np.where(candidates.valid, candidates.features[self.feature], -np.inf).astype(np.float32)


class Reader:
    """A cross-encoder that gives item 2 a high logit."""

    class config:
        rerank_depth = 3

    def logits(self, _users: Histories, rows: np.ndarray, _tokens: Any) -> np.ndarray:
        return np.where(rows == 2, 9.0, 0.0).astype(np.float32)


def pairs(buyers: tuple[float, float, float]) -> TrainingPairs:
    """Items 0, 1 and 2 with such buyers; everybody bought item 2, which the towers put first and the others last but one."""
    rows = np.tile(np.array([[0, 1, 2, -1]]), (USERS, 1))
    columns = {"tower": [0.0, 1.0, 2.0, np.nan], "plain": [2.0, 0.0, 1.0, np.nan], BUYERS: [*buyers, np.nan]}
    features = {name: np.tile(np.array([column], np.float32), (USERS, 1)) for name, column in columns.items()}
    scores = np.where(rows >= 0, 0, -np.inf).astype(np.float32)
    return TrainingPairs(Candidates(Histories.of_baskets([[0]] * USERS, 0), rows, scores, features), rows == 2)


def parts(base: Column, residual: Column, few: TrainingPairs | None = None) -> dict[str, dict[str, dict[str, Any]]]:
    @dataclass(frozen=True)
    class Fitted:
        base: Column
        residual: Column
        cross_encoder: Reader

    data = RankingData((), pairs((9, 9, 9)), pairs((9, 9, 9)), cast("Any", object()), cast("Settings", None), 0, few, few)
    return text_parts(cast("Ranking", Fitted(base, residual, Reader())), cast("Any", Column("plain", ("plain",))), data)


TOWERS, PLAIN = Column("tower", ("plain", "tower")), Column("plain", ("plain",))
ACTIVE, OF_FEW, IDLE = Column(CROSS_ENCODER, RESIDUAL), Column(CROSS_ENCODER, RESIDUAL_FEW), Column(CROSS_ENCODER, RESIDUAL, idle=True)


def test_what_the_towers_earn_is_the_difference_without_them() -> None:
    found = parts(TOWERS, IDLE)["towers"]
    assert found["well known"] == pytest.approx(
        {"change": 1 - SECOND, "low": 1 - SECOND, "high": 1 - SECOND, "without": SECOND, "users": USERS}, abs=1e-5
    )
    assert found["few buyers"] == found["never sold"] == {"idle": NOBODY}


@pytest.mark.parametrize(("buyers", "slice_name"), [((4, 1, 4), "few buyers"), ((0, 0, 0), "never sold"), ((1, 3, 2), "few buyers")])
def test_items_of_a_slice_are_ranked_among_themselves(buyers: tuple[float, float, float], slice_name: str) -> None:
    found = parts(TOWERS, IDLE, pairs(buyers))["towers"]
    assert found[slice_name]["change"] == pytest.approx(1 - SECOND, abs=1e-5)
    other = {"few buyers": "never sold", "never sold": "few buyers"}[slice_name]
    assert found[other] == {"idle": NOBODY}


def test_an_item_alone_in_its_slice_leaves_nothing_to_earn() -> None:
    assert parts(TOWERS, IDLE, pairs((0, 0, 1)))["towers"]["few buyers"]["change"] == 0


def test_a_part_that_is_not_read_is_idle_and_says_why() -> None:
    found = parts(PLAIN, IDLE, pairs((1, 1, 1)))
    assert {figures["idle"] for figures in found["towers"].values()} == {TOWERS_IDLE}
    assert {figures["idle"] for figures in found["cross-encoder"].values()} == {PAIRS_IDLE}


@pytest.mark.parametrize("residual", [ACTIVE, OF_FEW])
def test_the_cross_encoder_may_speak_of_few_buyer_items_alone(residual: Column) -> None:
    found = parts(PLAIN, residual, pairs((1, 1, 1)))["cross-encoder"]
    assert found["few buyers"]["change"] == pytest.approx(1 - SECOND, abs=1e-5)
    if residual.few_only:
        assert found["well known"] == {"idle": PAIRS_IDLE}
    else:
        assert found["well known"]["change"] == pytest.approx(1 - SECOND, abs=1e-5)
