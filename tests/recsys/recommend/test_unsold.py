"""Lists of what nobody has bought yet: personal for who has a history, and said not to be for who has none."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

from eval.protocol.runner import EvaluateConfig
from features.data.interactions import DAY
from features.data.split import Split
from features.names import ARRIVAL_SCORE, LOG_ODDS
from recsys.offline.evaluate import exploration_price
from recsys.recommend import open
from recsys.recommend.request import RecommendOptions
from recsys.refresh import build
from tests.recsys.conftest import Place


@pytest.fixture
def place(spare: Place) -> Place:
    added = "".join(f"sku-new-{n},new tea {n},,,drinks|tea,2.5,true\n" for n in range(3))
    spare.items.write_text(spare.items.read_text() + added)
    spare.ingest()
    build.build_index(spare.workspace, spare.settings)
    return spare


def test_only_who_has_a_history_gets_a_personal_list(place: Place) -> None:
    recommender = open.open_recommender(place.workspace)
    known, unknown, visitor = recommender.answer(RecommendOptions(unsold=True), ["user-00", "nobody", None])
    assert known.fallback is None
    assert unknown.fallback == "user 'nobody' has no history here: what is likely to sell soon"
    assert visitor.fallback == "nothing is known of the visitor: what is likely to sell soon"
    for answer in (known, unknown, visitor):
        assert {item.item_id for item in answer.items} == {f"sku-new-{n}" for n in range(3)}
        assert all(item.probability is None for item in answer.items)  # too few debuts to calibrate any
    for answer in (unknown, visitor):
        assert {item.reason for item in answer.items} == {"nobody has bought it yet"}
    (basket,) = recommender.answer(RecommendOptions(unsold=True, history=("sku-03",)), [None])
    assert basket.fallback is None


def test_new_items_have_the_experts_probability_and_their_places_have_a_price(place: Place) -> None:
    opened = open.open_recommender(place.workspace)
    snapshot = opened.snapshot
    expert = snapshot.cold_start
    faint = replace(expert, calibrated=True, model=replace(expert.model, intercept=-25.0))  # no new item makes a list by itself
    recommender = replace(opened, snapshot=replace(snapshot, cold_start=faint))
    new = np.array([item.startswith("sku-new") for item in snapshot.catalog.ids.tolist()])
    vars(recommender)["_new_items"] = new
    split = Split.by_time(snapshot.log, snapshot.log.end - 7 * DAY)
    users = split.histories(split.users)
    ranked = recommender.ranked(recommender.candidates(users, 100))
    chance = recommender.cold_start.pair_scores(users, ranked.rows)
    offered = ~np.isnan(ranked.features[ARRIVAL_SCORE])
    assert offered.any()
    assert np.array_equal(offered, offered & new[ranked.rows])
    assert np.array_equal(ranked.scores[offered], chance[offered])
    assert (np.diff(np.where(ranked.valid, ranked.scores, -1), axis=1) <= 0).all()
    assert ranked.features[LOG_ODDS][offered].max() < ranked.features[LOG_ODDS][ranked.valid & ~offered].min()  # order by basket
    (explained,) = recommender.answer(RecommendOptions(explain=True, k=100), ["user-00"])
    assert {item.item_id.startswith("sku-new") for item in explained.items} == {True, False}
    for item in explained.items:  # those of the ranker do not add up to the expert's probability
        assert bool(item.contributions) != item.item_id.startswith("sku-new")
    for share in (0.0, 0.1, 0.2):  # one and two places of ten, for all who bought something near
        retrieval = recommender.model.retrieval.model_copy(update={"exploration": share, "candidates": 100})
        model = copy.copy(recommender.model)
        vars(model)["retrieval"] = retrieval
        other = replace(recommender, model=model)
        vars(other)["_new_items"] = new
        price = exploration_price(other, split, EvaluateConfig())
        assert other.retriever.arrivals is not None
        if not share:  # new items compete all the same
            assert price == {}
            continue
        assert 0 < price["share of places"].value <= share + 1e-9
        assert price["ndcg@10"].value <= price["ndcg@10 without"].value
    assert exploration_price(opened, split, EvaluateConfig()) == {}
