"""A bundle whose index is in shards: the lists, the search and the neighbours of one index."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from recsys.apps.search.pipeline import Search
from recsys.apps.search.request import SearchOptions
from recsys.artifacts.bundle import Bundle
from recsys.recommend.cluster_index import TOWERS, open_shard
from recsys.recommend.open import open_recommender
from recsys.recommend.request import RecommendOptions
from recsys.refresh import build

if TYPE_CHECKING:
    from recsys.recommend.pipeline import Recommender
    from tests.recsys.conftest import Place

USERS = [*(f"user-{number:02}" for number in range(0, 60, 7)), None]


@pytest.fixture
def sharded(spare: Place) -> Place:
    index = spare.settings.index.model_copy(update={"shards": 3})
    place = replace(spare, settings=spare.settings.model_copy(update={"index": index}))
    assert "flat index" in build.build_index(place.workspace, place.settings)
    return place


def lists(recommender: Recommender) -> list[Any]:
    few = RecommendOptions(category=recommender.snapshot.catalog.frame["category"].sort()[0])
    return [list(recommender.answer(options, USERS)) for options in (RecommendOptions(), few)]


def without_bundle(answers: list[Any]) -> list[Any]:
    return [[replace(answer, bundle_id="") for answer in one] for one in answers]


@pytest.mark.parametrize("shared", [False, True])
def test_answers_are_those_of_one_index(ready: Place, sharded: Place, shared: bool) -> None:
    one, several = (open_recommender(place.workspace, shared=shared) for place in (ready, sharded))
    assert [len(each.shards) for each in (one.snapshot.index, several.snapshot.index, several.snapshot.search_index)] == [1, 3, 3]
    assert without_bundle(lists(one)) == without_bundle(lists(several))
    assert replace(one.similar("sku-07", 5), bundle_id="") == replace(several.similar("sku-07", 5), bundle_id="")
    queries = [("green tea", None), ("rye bread", "user-07")]
    answers = ([replace(answer, bundle_id="") for answer in Search(each).answer(SearchOptions(), queries)] for each in (one, several))
    assert next(answers) == next(answers)


def test_a_shard_of_a_bundle_is_opened_alone(sharded: Place) -> None:
    bundle = Bundle.open(sharded.workspace.bundles)
    whole = open_recommender(sharded.workspace).snapshot.index
    for number, shard in enumerate(whole.shards):
        alone = open_shard(str(sharded.workspace.bundles), bundle.id, TOWERS, number)
        assert np.array_equal(alone.place, shard.place)
