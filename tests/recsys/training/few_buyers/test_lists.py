"""Lists of items with few buyers: what they hold, what is hidden from them, and that they know nothing of the window."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from eval.protocol.ground_truth import GroundTruth
from features.behavior.item_stats import FEW_BUYERS, distinct_buyers
from features.data.interactions import DAY
from ranking.gbdt import BUYERS
from recsys.training.few_buyers.lists import few_buyer_lists, few_buyer_users, without_purchases
from recsys.training.few_buyers.window_retriever import WindowRetriever, labelled_lists
from recsys.training.job import TrainingJob
from recsys.training.towers import TextModels, fit_text_models
from recsys.training.windows import Windows
from tests.eval.shops import log_of

if TYPE_CHECKING:
    from features.data.histories import Histories
    from features.data.split import Split
    from ranking.cross_encoder.trainer import TrainingPairs


@pytest.fixture(scope="module")
def job(shop: Any, tiny_settings: Any) -> TrainingJob:
    until = shop.log.start + 150 * DAY
    log = shop.log.between(None, until)
    return TrainingJob(shop.catalog, log, Windows.plan(log, until), with_lists(tiny_settings), 0)


@pytest.fixture(scope="module")
def models(job: TrainingJob, tmp_path_factory: pytest.TempPathFactory) -> TextModels:
    folder = tmp_path_factory.mktemp("language")
    return fit_text_models(job, torch.device("cpu"), folder / "work", folder)


def with_lists(settings: Any, **changes: Any) -> Any:
    changes = {"few_buyer_users": 40, "hidden_items": 0.5} | changes
    return settings.model_copy(update={"gbdt": settings.gbdt.model_copy(update=changes)})


def split_of(job: TrainingJob) -> Split:
    return job.windows.early.split(job.log)


def who(users: Histories) -> np.ndarray:
    """Return the users' rows in the log."""
    assert users.rows is not None
    return users.rows


def lists(job: TrainingJob, models: TextModels, split: Split | None = None) -> TrainingPairs | None:
    split = split or split_of(job)
    found = WindowRetriever.of(job, models, split.history, split.cut, models.vectors)
    return few_buyer_lists(labelled_lists(job, few_buyer_users(job, models, split, found)))


def test_hidden_items_have_few_buyers_and_others_are_as_they_were(job: TrainingJob, models: TextModels) -> None:
    found = lists(job, models)
    assert found is not None
    assert len(found.labels) > 8
    assert found.labels.any(axis=1).mean() > 0.5
    assert found.stands_for > 1  # some of the users bought nothing of the kind
    candidates, split = found.candidates, split_of(job)
    buyers = candidates.features[BUYERS]
    assert (buyers[candidates.valid] < FEW_BUYERS).all()
    truly = distinct_buyers(split.history, np.ones(len(split.history), dtype=bool))
    assert (truly[candidates.rows[candidates.valid]] >= FEW_BUYERS).any()  # or nothing was hidden
    truth = GroundTruth.of(split)
    for users, rows, labels in zip(who(candidates.users), candidates.rows, found.labels, strict=True):
        (place,) = np.flatnonzero(truth.users == users)
        before, after = (set(part.item[part.user == place].tolist()) for part in (truth.seen, truth.bought))
        assert not before & set(rows[rows >= 0].tolist())
        assert set(rows[labels].tolist()) <= after
        assert set(rows[(rows >= 0) & ~labels].tolist()).isdisjoint(after)


def test_a_hidden_item_is_in_no_history_more_often_than_it_keeps_purchases(job: TrainingJob, models: TextModels) -> None:
    """Nor does any other feature know of more: histories are what features are computed from."""
    found = lists(job, models)
    assert found is not None
    shown = np.unique(found.candidates.rows[found.candidates.valid])
    users = found.candidates.users
    for item in shown:
        assert len(np.unique(who(users)[users.user[users.item == item]])) < FEW_BUYERS


def test_without_hidden_items_only_those_with_few_buyers_are_listed(job: TrainingJob, models: TextModels) -> None:
    split = split_of(job)
    rare = np.array([3, 13])  # from now on with two buyers each
    keep = ~np.isin(split.history.item, rare)
    keep[[at for item in rare for at in np.flatnonzero(split.history.item == item)[:2]]] = True
    few = replace(split, history=split.history.where(keep))
    found = lists(replace(job, settings=with_lists(job.settings, hidden_items=0.0)), models, few)
    assert found is not None
    known = GroundTruth.of(few).few
    assert set(np.unique(found.candidates.rows[found.candidates.valid]).tolist()) <= set(np.flatnonzero(known).tolist())
    assert found.labels.any()


@pytest.mark.parametrize("changes", [{"few_buyer_users": 0}, {"few_buyer_users": 0, "hidden_items": 0.0}])
def test_the_switch_is_off(job: TrainingJob, models: TextModels, changes: dict[str, Any]) -> None:
    assert lists(replace(job, settings=with_lists(job.settings, **changes)), models) is None


@pytest.mark.parametrize("most", [1, 5])
def test_no_more_users_than_asked_for_and_the_same_again(job: TrainingJob, models: TextModels, most: int) -> None:
    some = replace(job, settings=with_lists(job.settings, few_buyer_users=most))
    one, two = lists(some, models), lists(some, models)
    assert one is not None
    assert two is not None
    assert 0 < len(one.labels) <= 2 * most  # of items with few buyers, and of hidden ones
    assert np.array_equal(one.candidates.rows, two.candidates.rows)
    assert all(np.array_equal(column, two.candidates.features[name], equal_nan=True) for name, column in one.candidates.features.items())


def test_nothing_is_known_of_the_window(job: TrainingJob, models: TextModels) -> None:
    """What is bought in it decides on whom and on the labels alone: the lists of common users are equal."""
    window = job.windows.early
    late = job.log.time >= window.start
    item = np.where(late, (job.log.item + 7) % job.log.n_items, job.log.item).astype(np.int32)
    every = replace(job, settings=with_lists(job.settings, few_buyer_users=1000))
    one, two = lists(every, models), lists(replace(every, log=replace(job.log, item=item)), models)
    assert one is not None
    assert two is not None
    first, second = (
        {u: set(r[r >= 0].tolist()) for u, r in zip(who(p.candidates.users), p.candidates.rows, strict=True)} for p in (one, two)
    )
    common = first.keys() & second.keys()
    assert len(common) > 3
    assert all(first[user] == second[user] for user in common)
    assert not all(np.array_equal(a, b) for a, b in zip(one.labels, two.labels, strict=False))


EVENTS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 4), st.integers(0, 9)), min_size=1, max_size=60)


@given(events=EVENTS, hidden=st.lists(st.booleans(), min_size=5, max_size=5), seed=st.integers(0, 99))
def test_hiding_keeps_few_events_of_hidden_items_and_all_of_others(
    events: list[tuple[int, int, int]], hidden: list[bool], seed: int
) -> None:
    log = log_of([(f"u{user}", item, day) for user, item, day in events], 5)
    mask = np.array(hidden)
    left = without_purchases(log, mask, np.random.default_rng(seed))
    before, after = (np.bincount(one.item, minlength=5) for one in (log, left))
    assert (after[~mask] == before[~mask]).all()
    assert (after[mask] <= np.minimum(before[mask], FEW_BUYERS - 1)).all()
    assert set(left.user.tolist()) <= set(log.user.tolist())


def test_any_number_of_events_below_five_is_kept() -> None:
    log = log_of([(f"u{user}", 0, user) for user in range(9)], 1)
    kept = {len(without_purchases(log, np.array([True]), np.random.default_rng(seed))) for seed in range(60)}
    assert kept == set(range(FEW_BUYERS))
