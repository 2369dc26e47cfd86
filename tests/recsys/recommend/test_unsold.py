"""Lists of what nobody has bought yet: personal for who has a history, and said not to be for who has none."""

from __future__ import annotations

import pytest

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
        assert all(item.probability is None for item in answer.items)
    for answer in (unknown, visitor):
        assert {item.reason for item in answer.items} == {"nobody has bought it yet"}
    (basket,) = recommender.answer(RecommendOptions(unsold=True, history=("sku-03",)), [None])
    assert basket.fallback is None
