"""The comparison of two bundles at a past moment: which collaborative models it fits, and which it carries over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from features.data.interactions import DAY
from features.storage.arrays import Subfolder
from recsys.artifacts.bundle import Bundle
from recsys.artifacts.export import model_digest
from recsys.artifacts.model import ServedModel
from recsys.refresh import offline_check
from recsys.refresh.offline_check import BundleUnderTest, ndcg_of_both, surely_within
from recsys.settings.refresh import RefreshConfig
from recsys.snapshot.snapshot import Snapshot
from retrieval.collaborative.models import Collaborative

if TYPE_CHECKING:
    from pathlib import Path

    from tests.recsys.conftest import Place


def test_the_models_of_a_day_before_are_carried_over_while_little_has_changed(
    ready: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = Bundle.open(ready.workspace.bundles).files
    model = ServedModel(files)
    bundle = BundleUnderTest(model, Snapshot.from_files(Subfolder(files, "snapshot")), "", model_digest(files), tmp_path)
    fitted, fit = [], Collaborative.fit
    monkeypatch.setattr(Collaborative, "fit", lambda *given: fitted.append(given[1]) or fit(*given))
    cut = bundle.snapshot.log.end // DAY * DAY - 7 * DAY
    first = bundle.collaborative(cut, 0.02)
    assert fitted == [cut]
    later = len(bundle.before(cut + DAY)) - len(bundle.before(cut))
    assert later > 0
    carried = bundle.collaborative(cut + DAY, 1.0)
    assert fitted == [cut]
    assert np.array_equal(carried.als.factors, first.als.factors)
    anew = bundle.collaborative(cut + DAY, later / len(bundle.before(cut)) / 2)
    assert fitted == [cut, cut + DAY]
    assert not np.array_equal(anew.als.factors, first.als.factors)
    assert np.array_equal(carried.popularity.to_files()["popularity.safetensors"], anew.popularity.to_files()["popularity.safetensors"])


def under_test(place: Place, folder: Path, model_id: str) -> BundleUnderTest:
    files = Bundle.open(place.workspace.bundles).files
    return BundleUnderTest(ServedModel(files), Snapshot.from_files(Subfolder(files, "snapshot")), model_id, model_id, folder)


def test_few_users_are_asked_where_nothing_is_lost_and_all_where_something_may_be(
    ready: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, lists = [], BundleUnderTest.lists
    monkeypatch.setattr(offline_check, "FEW", 12)
    monkeypatch.setattr(offline_check, "HITS", 3)
    monkeypatch.setattr(BundleUnderTest, "lists", lambda self, users, *rest: asked.append(users) or lists(self, users, *rest))
    old, new = under_test(ready, tmp_path, "a"), under_test(ready, tmp_path, "b")
    few = ndcg_of_both(old, new, RefreshConfig(max_ndcg_drop=1.0))
    assert few is not None
    assert few[0] == few[1] > 0
    assert list(map(len, asked)) == [12, 12]
    asked.clear()
    monkeypatch.setattr(offline_check, "surely_within", lambda *_: False)
    every = ndcg_of_both(old, new, RefreshConfig())
    assert len(asked) == 4
    assert len({*asked[0], *asked[2]}) == len(asked[0]) + len(asked[2])
    monkeypatch.setattr(offline_check, "FEW", 10_000)
    assert every == pytest.approx(ndcg_of_both(old, new, RefreshConfig()))


@pytest.mark.parametrize(
    ("old", "lost", "within"),
    [
        ([0.5, 0.3] * 25, 0.0, True),
        ([0.5, 0.3] * 25, 0.05, True),
        ([0.5, 0.3] * 25, 0.101, False),
        ([0.5, 0.3] * 25, 0.2, False),
        ([0.0] * 49 + [1.0], 0.0, False),
        ([0.0] * 50, 0.0, False),
        ([0.0] * 30 + [0.5] * 20, 0.0, False),
    ],
)
def test_few_users_decide_only_what_lies_far_below_the_limit(old: list[float], lost: float, within: bool) -> None:
    before = np.array(old)
    assert surely_within(np.array([before, before * (1 - lost)]), 0.1) == within


def test_a_loss_of_a_few_users_is_no_small_loss() -> None:
    before = np.full(50, 0.4)
    after = before.copy()
    after[:4] = 0.0
    assert not surely_within(np.array([before, after]), 0.1)


def test_a_limit_of_nothing_is_never_surely_kept() -> None:
    assert not surely_within(np.full((2, 50), 0.4), 0.0)
