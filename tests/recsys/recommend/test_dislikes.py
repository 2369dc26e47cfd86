"""What a customer dislikes never comes back, in any list, and no reason speaks of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from features.data.histories import Histories
from recsys.privacy.erasure import erase
from recsys.recommend import open
from recsys.recommend.pipeline import Recommender
from recsys.recommend.request import RecommendOptions
from recsys.refresh.refresh import refresh
from tests.recsys.conftest import Place

USER, OTHER = "user-03", "user-30"


def shown(recommender: Recommender, user: str | None, **options: Any) -> list[str]:
    return [item.item_id for item in next(recommender.answer(RecommendOptions(**options), [user])).items]


def disliked(place: Place, *items: str, user: str = USER) -> None:
    """Append thumbs down to the shop's log, and refresh."""
    rows = "".join(f"{user},{item},2024-07-18T12:00:00,DISLIKE,,\n" for item in items)
    place.log.write_text(place.log.read_text() + rows)
    refresh(place.workspace, place.settings)


def test_no_list_holds_it_and_others_lists_stay(spare: Place) -> None:
    before = open.open_recommender(spare.workspace)
    best = shown(before, USER, k=3)
    popular, unsold = shown(before, None, k=1), shown(before, USER, k=40, unsold=True)[:1]
    gone = [*best, *popular, *unsold]
    disliked(spare, *gone)
    disliked(spare, *popular, user="only-dislikes")
    after = open.open_recommender(spare.workspace)
    assert after.bundle_id != before.bundle_id
    for options in ({"k": 40}, {"k": 40, "new_only": False}, {"k": 40, "unsold": True}, {"k": 40, "history": ("sku-20",)}):
        assert not set(shown(after, USER, **options)) & set(gone)
    assert len(shown(after, USER, k=10)) == 10
    assert shown(after, "only-dislikes", k=5)[0] != popular[0]
    assert popular[0] not in shown(after, "only-dislikes", k=40)
    assert shown(after, None, k=1) == popular
    assert shown(after, OTHER, k=10) == shown(before, OTHER, k=10)
    names = {item.title for item in next(before.answer(RecommendOptions(k=40), [USER])).items if item.item_id in gone}
    for item in next(after.answer(RecommendOptions(k=40), [USER])).items:
        assert not any(name in item.reason for name in names)


def test_evaluation_and_simulation_leave_it_out_too(spare: Place) -> None:
    """Their lists come from the stages over histories, without the filters of a request."""
    best = shown(open.open_recommender(spare.workspace), USER, k=2)
    disliked(spare, *best)
    recommender = open.open_recommender(spare.workspace)
    snapshot = recommender.snapshot
    users = Histories.of_users(snapshot.log, snapshot.log.user_rows([USER, OTHER]), snapshot.now)
    everything = np.ones(len(snapshot.catalog), dtype=bool)
    for stage in (recommender.recommend, recommender.candidates, recommender.popular):
        for allowed in (None, everything, np.stack([everything] * 2)):
            rows = stage(users, 40, allowed).rows
            assert not set(snapshot.catalog.ids[rows[0][rows[0] >= 0]]) & set(best)
    assert everything.all()


def test_dislikes_go_with_an_erased_user(spare: Place) -> None:
    disliked(spare, "sku-01")
    disliked(spare, "sku-02", user=OTHER)
    erase(spare.workspace, USER)
    log = open.open_recommender(spare.workspace).snapshot.log
    assert log.dislikes is not None
    assert log.user_ids[log.dislikes.user].tolist() == [OTHER]
    assert USER not in log.user_ids
