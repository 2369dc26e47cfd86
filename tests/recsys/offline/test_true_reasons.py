"""The share of reasons whose item scores lower without the purchases that the reason names."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from features.data.histories import Histories
from ranking.reasons import Reason
from recsys.artifacts.model import ServedModel
from recsys.offline import reason_check
from recsys.offline.reason_check import reasons_hold, without
from recsys.recommend.open import open_recommender
from recsys.recommend.pipeline import Recommender

if TYPE_CHECKING:
    from tests.recsys.conftest import Place


@pytest.fixture(scope="module")
def recommender(ready: Place) -> Recommender:
    return open_recommender(ready.workspace)


def test_named_items_are_removed_from_that_history_alone() -> None:
    histories = Histories.of_baskets([[1, 2, 1, 3], [1, 2], [4]], 0)
    left = without(histories, [Reason("", (1, 3)), Reason("", (2,)), Reason("")])
    assert [left.item[left.offsets[i] : left.offsets[i + 1]].tolist() for i in range(3)] == [[2], [1], [4]]


def test_the_share_is_of_reasons_that_name_something(recommender: Recommender) -> None:
    users = np.arange(recommender.snapshot.log.n_users)
    shares = reasons_hold(recommender, users)
    assert shares.keys() == {"all", "new"}
    whole = shares["all"]
    assert 100 < whole.users <= len(users) * reason_check.K
    assert whole.low <= whole.value <= whole.high
    assert whole.value > 0.8  # even ten trees depend on the history


def test_false_reasons_have_a_low_share(recommender: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every reason names the least-bought item of the shop, without which no score falls."""
    users = np.arange(recommender.snapshot.log.n_users)
    log = recommender.snapshot.log
    rare = int(np.bincount(log.item, minlength=log.n_items).argmin())

    def elsewhere(*_: object) -> list[list[Reason]]:
        return [[Reason("because of the moon", (rare,))] * reason_check.K for _ in users]

    monkeypatch.setattr(type(recommender.reasons), "explain", elsewhere)
    assert reasons_hold(recommender, users)["all"].value < 0.3


def test_without_a_ranker_there_are_no_shares(recommender: Recommender) -> None:
    assert isinstance(recommender.model, ServedModel)
    files = {name: content for name, content in recommender.model.files.items() if not name.startswith("ranking/")}
    assert reasons_hold(replace(recommender, model=ServedModel(files)), np.arange(5)) == {}
