"""The index of a bundle on a cluster: the lists are those of this machine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from recsys.artifacts.bundle import Bundle
from recsys.recommend.cluster_index import SEARCH, cluster_index
from recsys.recommend.open import open_recommender
from recsys.recommend.request import RecommendOptions
from recsys.refresh import build

if TYPE_CHECKING:
    from recsys.compute.ray import RayCluster
    from tests.recsys.conftest import Place

USERS = [*(f"user-{number:02}" for number in range(0, 60, 7)), None]


def test_lists_are_those_of_this_machine(cluster: RayCluster, spare: Place) -> None:
    index = spare.settings.index.model_copy(update={"shards": 3})
    build.build_index(spare.workspace, spare.settings.model_copy(update={"index": index}))
    here, bundle = open_recommender(spare.workspace), Bundle.open(spare.workspace.bundles)
    with cluster_index(bundle, cluster) as there, cluster_index(bundle, cluster, SEARCH) as search:
        assert [len(there), len(search)] == [len(here.snapshot.index), len(here.snapshot.search_index)]
        assert list(replace(here, index=there).answer(RecommendOptions(), USERS)) == list(here.answer(RecommendOptions(), USERS))
