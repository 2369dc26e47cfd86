"""Rules of merchandising.toml in searches: what they move, and that only a rule for the query itself shows what a search does not find."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from features.data.histories import Histories
from features.names import RELEVANCE_SHARE
from ranking.calibration import Calibration
from ranking.merchandising.rules import MerchandisingRules
from ranking.search_ranker import FEATURES, LabelledLists, SearchRanker, fit_search_booster
from recsys.apps.search.answers import SearchAnswer
from recsys.apps.search.pipeline import Search
from recsys.apps.search.request import SearchOptions
from recsys.recommend import open
from retrieval.candidates import Candidates

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def search(ready: Any) -> Search:
    return Search(open.open_recommender(ready.workspace))


def ask(search: Search, text: str, user: str | None = None, **rules: Any) -> SearchAnswer:
    ruled = Search(search.recommender.with_rules(MerchandisingRules.model_validate(rules)))
    (answer,) = ruled.answer(SearchOptions(k=5), [(text, user)])
    return answer


@pytest.mark.parametrize("user", [None, "user-03"])
def test_a_found_item_is_pinned_and_keeps_its_score(search: Search, user: str | None) -> None:
    before = ask(search, "tea", user)
    last = before.items[-1]
    after = ask(search, "tea", user, pin=[{"name": "p", "item": last.item_id, "position": 1}])
    assert (after.items[0].item_id, after.items[0].rule, after.items[0].score) == (last.item_id, "p", last.score)
    assert [hit.item_id for hit in after.items[1:]] == [hit.item_id for hit in before.items[:-1]]
    assert after.items[0].to_dict()["rule"] == "p"
    assert "rule" not in after.items[1].to_dict()
    assert after.facets == before.facets


def test_a_pin_for_every_list_does_not_show_what_a_search_does_not_find(search: Search) -> None:
    missing = {"name": "p", "item": "sku-33", "position": 1}
    plain = ask(search, "butter croissant")
    found = {hit.item_id for hit in plain.items}
    assert "sku-33" not in found
    for where in ({}, {"pages": ["home"]}, {"queries": ["rye bread"]}):
        assert ask(search, "butter croissant", pin=[missing | {"where": where}]).items[0].item_id in found
    answer = ask(search, "Butter  croissant", pin=[missing | {"where": {"queries": ["butter croissant"]}}])
    assert (answer.items[0].item_id, answer.items[0].rule) == ("sku-33", "p")


def test_factors_multiply_odds(search: Search) -> None:
    before = [hit.item_id for hit in ask(search, "tea").items]
    buried = [hit.item_id for hit in ask(search, "tea", bury=[{"name": "b", "items": before[:1]}]).items]
    assert before[0] not in buried
    assert buried[:4] == before[1:]
    assert [hit.item_id for hit in ask(search, "tea", bury=[{"name": "b", "items": ["sku-33"]}]).items] == before


def test_each_query_of_several_has_its_own_rules(search: Search) -> None:
    rules = MerchandisingRules.model_validate(
        {"pin": [{"name": "p", "item": "sku-33", "position": 2, "where": {"queries": ["tea"]}}]},
    )
    tea, bread = Search(search.recommender.with_rules(rules)).answer(SearchOptions(k=5), [("tea", None), ("rye bread", "user-03")])
    assert tea.items[1].item_id == "sku-33"
    assert bread == ask(search, "rye bread", "user-03")


def trained() -> SearchRanker:
    """A ranker that has learned that what is more relevant is bought."""
    shape = (40, 10)
    rng = np.random.default_rng(0)
    features = {name: rng.random(shape).astype(np.float32) for name in FEATURES}
    rows, labels = np.tile(np.arange(shape[1]), (shape[0], 1)), rng.random(shape) < features[RELEVANCE_SHARE]
    lists = Candidates(Histories.of_baskets([[]] * shape[0], 0), rows, np.zeros(shape, dtype=np.float32), features)
    weights = np.ones(shape, dtype=np.float32)
    booster = fit_search_booster(LabelledLists(lists, labels, weights), np.ones(shape[0], dtype=bool), 0, pairs=False)
    return SearchRanker(booster, Calibration.fit(booster.log_odds(lists).ravel(), labels.ravel()))


@pytest.mark.parametrize("make", [SearchRanker, trained], ids=["untrained", "trained"])
def test_an_item_that_only_a_rule_shows_leaves_the_scores_of_the_others(search: Search, make: Callable[[], SearchRanker]) -> None:
    pin = {"name": "p", "item": "sku-33", "position": 1, "where": {"queries": ["tea"]}}
    ranker, answers = make(), []
    for rules in ({"pin": [pin]}, {"pin": [pin | {"where": {"queries": ["rye bread"]}}]}):
        ruled = Search(search.recommender.with_rules(MerchandisingRules.model_validate(rules)))
        few = ruled.text_search.config.model_copy(
            update={"candidates": 10}
        )  # fewer than the tiny shop's items: the search does not find all
        ruled.__dict__.update(ranker=ranker, text_search=replace(ruled.text_search, config=few))
        answers += ruled.answer(SearchOptions(k=10), [("tea", None)])
    pinned, plain = answers
    assert "sku-33" not in {hit.item_id for hit in plain.items}
    assert pinned.items[0].item_id == "sku-33"
    assert [(hit.item_id, hit.score, hit.probability) for hit in pinned.items[1:]] == [
        (hit.item_id, hit.score, hit.probability) for hit in plain.items[:9]
    ]
    assert (plain.items[0].probability is None) == (ranker.calibration is None)
    json.dumps(pinned.to_dict(), allow_nan=False)
