import numpy as np
import pytest
from pydantic import ValidationError

from eval.baselines.id_towers_config import IdTowersConfig
from eval.baselines.neighbours import TifuConfig
from eval.baselines.registry import (
    BASELINES,
    AnsweringEASE,
    AnsweringKnn,
    Baseline,
    BaselinesConfig,
    BaselineSettings,
    ItemTexts,
    distinct_buyers,
    fit_baseline,
)
from eval.baselines.simple import ForAll
from features.data.histories import Histories
from retrieval.collaborative.als import ALSConfig
from retrieval.collaborative.scoring import Weighting
from tests.eval.shops import at_day, log_of

SMALL = BaselineSettings(
    tifu_knn=TifuConfig(neighbours=3),
    als=ALSConfig(factors=4, iterations=5),
    ease=AnsweringEASE(l2=1.0),
    ease_trend=AnsweringEASE(l2=1.0),
    id_towers=IdTowersConfig(epochs=2),
)
# Even items are tea, odd ones are soap: items bought together have similar texts.
TEXTS = ItemTexts(
    [f"{('tea', 'soap')[i % 2]} {i}" for i in range(11)], np.array([[1, 0.01 * i] if i % 2 else [0.01 * i, 1] for i in range(11)])
)


@pytest.fixture(scope="module")
def checkerboard():
    """Even users buy even items, odd users odd ones; each leaves out the item of its own number; none buys 10."""
    return log_of([(f"u{u}", i, u) for u in range(8) for i in range(10) if i % 2 == u % 2 and i != u], 11)


@pytest.fixture(scope="module")
def fitted(checkerboard):
    return {name: fit_baseline(name, checkerboard, at_day(30), SMALL, TEXTS) for name in BASELINES}


def users_of(log, now=30):
    return Histories.of_users(log, np.arange(log.n_users), at_day(now))


@pytest.mark.parametrize("name", ["item_knn", "ease", "als", "bpr", "tifu_knn"])
def test_items_of_similar_users_come_first(name, checkerboard, fitted):
    users = users_of(checkerboard)
    seen = np.zeros((8, 11), dtype=bool)
    seen[checkerboard.user, checkerboard.item] = True
    assert fitted[name].retrieve(users, 1, ~seen).rows[:, 0].tolist() == list(range(8))


@pytest.mark.parametrize("name", BASELINES)
class TestContract:
    def test_lists_hold_what_is_allowed_once_and_are_padded(self, name, checkerboard, fitted):
        users = users_of(checkerboard)
        allowed = np.random.default_rng(0).random((8, 11)) < 0.6
        found = fitted[name].retrieve(users, 15, allowed)
        for row, mask in zip(found.rows, allowed, strict=True):
            assert sorted(row[row >= 0]) == np.flatnonzero(mask).tolist()
            assert (row[mask.sum() :] == -1).all()
        assert (np.diff(np.where(found.valid, found.scores, -1e9), axis=1) <= 0).all()

    def test_a_batch_answers_as_each_alone(self, name, checkerboard, fitted):
        users, allowed = users_of(checkerboard), np.arange(11) != 3
        batch = fitted[name].retrieve(users, 5, allowed)
        for i in range(8):
            alone = fitted[name].retrieve(users.take(np.array([i])), 5, allowed)
            assert alone.rows[0].tolist() == batch.rows[i].tolist()
            np.testing.assert_allclose(alone.scores[0], batch.scores[i], rtol=1e-4, atol=1e-5)

    def test_an_unknown_user_gets_a_list(self, name, checkerboard, fitted):
        unknown = Histories.of_users(checkerboard, np.array([-1]), at_day(30))
        assert sorted(fitted[name].retrieve(unknown, 11).rows[0]) == list(range(11))

    def test_later_events_are_not_seen(self, name, checkerboard, fitted):
        cut = fit_baseline(name, checkerboard, at_day(5), SMALL, TEXTS)
        same = fit_baseline(name, checkerboard.between(None, at_day(5)), at_day(5), SMALL, TEXTS)
        users = users_of(checkerboard, 5)
        assert cut.retrieve(users, 11).rows.tolist() == same.retrieve(users, 11).rows.tolist()


def test_ties_go_to_the_item_with_more_buyers_then_to_the_lower_row():
    baseline = Baseline(ForAll(np.array([0, 0, 1, 0], dtype=np.float32)), np.array([1, 5, 0, 5]))
    found = baseline.retrieve(Histories.of_baskets([[]], 0), 4)
    assert found.rows.tolist() == [[2, 1, 3, 0]]


def test_popular_counts_users_not_purchases():
    log = log_of([("u0", 0, 1), ("u0", 0, 2), ("u0", 0, 3), ("u1", 1, 1), ("u2", 1, 1)], 3)
    assert distinct_buyers(log).tolist() == [1, 2, 0]


def test_recent_popular_counts_its_days():
    log = log_of([("u0", 0, 1), ("u1", 0, 1), ("u2", 1, 25)], 2)
    for days, scores in ((7, [0, 1]), (60, [2, 1])):
        found = fit_baseline("recent_popular", log, at_day(30), BaselineSettings(recent_popular=days))
        assert found.scorer.scores(users_of(log))[0].tolist() == scores


def test_personal_frequency_ages():
    # 0 twice, sixty days ago; 1 once, today.
    log = log_of([("u0", 0, 0), ("u0", 0, 0), ("u0", 1, 60)], 3)
    user = Histories.of_users(log, np.array([0]), at_day(60) + 1)
    for half_life, order in ((30, [1, 0, 2]), (None, [0, 1, 2])):
        settings = BaselineSettings(personal_frequency=Weighting(count="log", half_life=half_life))
        assert fit_baseline("personal_frequency", log, at_day(60) + 1, settings).retrieve(user, 3).rows.tolist() == [order]


def test_an_unknown_baseline_is_refused(checkerboard):
    with pytest.raises(ValueError, match="baseline 'best' does not exist"):
        fit_baseline("best", checkerboard, at_day(30), SMALL)


@pytest.mark.parametrize("name", ["text_knn", "title_knn"])
def test_text_baselines_need_texts(name, checkerboard):
    with pytest.raises(ValueError, match="need the items' texts"):
        fit_baseline(name, checkerboard, at_day(30), SMALL)


@pytest.mark.parametrize("name", ["text_knn", "title_knn"])
def test_an_item_without_buyers_is_found_by_its_text(name, checkerboard, fitted):
    # Item 10 is tea, like the whole history of the even users.
    users = users_of(checkerboard).take(np.array([0, 2, 4, 6]))
    allowed = np.zeros((4, 11), dtype=bool)
    allowed[:, 1::2] = allowed[:, 10] = True
    assert fitted[name].retrieve(users, 1, allowed).rows.tolist() == [[10]] * 4


def test_the_trend_lifts_items_that_sell_now():
    # Items 1 and 2 are both bought with 0 by two users, 1 in the last days, 2 half a year ago.
    log = log_of([(f"u{u}", i, 170 if u < 2 else 1) for u, items in enumerate(((0, 1), (0, 1), (0, 2), (0, 2))) for i in items], 3)
    user = Histories.of_baskets([[0]], at_day(171))
    settings = SMALL.model_copy(update={"ease_trend": AnsweringEASE(l2=1.0, weighting=Weighting())})
    scores = fit_baseline("ease_trend", log, at_day(171), settings).scorer.scores(user)[0]
    assert scores[1] > scores[2]


def test_histories_may_be_aged_when_the_fit_is_not():
    # 0 goes with 2, 1 goes with 3, each by two buyers; the user had 0 long ago and 1 today.
    pairs = [(f"u{u}", i, 1) for u, items in enumerate(((0, 2), (0, 2), (1, 3), (1, 3))) for i in items]
    log = log_of([*pairs, ("v", 0, 1), ("v", 1, 60)], 4)
    user = Histories.of_users(log, log.user_rows(["v"]), at_day(61))
    allowed = np.array([False, False, True, True])
    for half_life, first in ((None, 2), (10.0, 3)):
        settings = BaselineSettings(item_knn=AnsweringKnn(answer=Weighting(half_life=half_life)))
        assert fit_baseline("item_knn", log, at_day(61), settings).retrieve(user, 1, allowed).rows.tolist() == [[first]]


def test_unknown_names_are_refused():
    with pytest.raises(ValidationError, match="there is no baseline 'best': choose among popular"):
        BaselinesConfig(names=("popular", "best"))


def test_id_towers_learn_the_checkerboard():
    # Even users buy even items, odd users odd ones, one a day; each has one item left to find.
    log = log_of([(f"u{u}", i, (i + u) % 10) for u in range(40) for i in range(10) if i % 2 == u % 2 and i // 2 != u % 5], 10)
    users, seen = users_of(log), np.zeros((40, 10), dtype=bool)
    seen[log.user, log.item] = True
    found = fit_baseline("id_towers", log, at_day(30), BaselineSettings(id_towers=IdTowersConfig(epochs=3))).retrieve(users, 1, ~seen)
    right = found.rows[:, 0] % 2 == np.array([int(name[1:]) % 2 for name in log.user_ids])
    assert right.mean() > 0.9
