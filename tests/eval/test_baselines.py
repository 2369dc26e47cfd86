import numpy as np
import pytest

from eval.baselines import BASELINES, Baseline, BaselinesConfig, BaselineSettings, ForAll, distinct_buyers, fit_baseline
from eval.evaluate import EvaluateConfig
from eval.tune import default_grid, judge_baselines, tune_baselines
from features.errors import DataError
from features.histories import Histories
from retrieval.collaborative import ALSConfig, EASEConfig
from retrieval.scorers import Weighting

from .shops import at_day, log_of

SMALL = BaselineSettings(als=ALSConfig(factors=4, iterations=5), ease=EASEConfig(l2=1.0))


@pytest.fixture
def checkerboard():
    """Even users buy even items, odd users odd ones; each leaves out the item of its own number. Item 10 is never sold."""
    return log_of([(f"u{u}", i, u) for u in range(8) for i in range(10) if i % 2 == u % 2 and i != u], 11)


@pytest.fixture
def fitted(checkerboard):
    return {name: fit_baseline(name, checkerboard, at_day(30), SMALL) for name in BASELINES}


def users_of(log, now=30):
    return Histories.of_users(log, np.arange(log.n_users), at_day(now))


@pytest.mark.parametrize("name", ["item_knn", "ease", "als"])
def test_what_alike_users_bought_comes_first(name, checkerboard, fitted):
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
        for row, mine in zip(found.rows, allowed, strict=True):
            assert sorted(row[row >= 0]) == np.flatnonzero(mine).tolist()
            assert (row[mine.sum() :] == -1).all()
        assert (np.diff(np.where(found.valid, found.scores, -1e9), axis=1) <= 0).all()

    def test_a_batch_answers_as_each_alone(self, name, checkerboard, fitted):
        users, allowed = users_of(checkerboard), np.arange(11) != 3
        together = fitted[name].retrieve(users, 5, allowed)
        for i in range(8):
            alone = fitted[name].retrieve(users.take(np.array([i])), 5, allowed)
            assert alone.rows[0].tolist() == together.rows[i].tolist()
            np.testing.assert_allclose(alone.scores[0], together.scores[i], rtol=1e-4, atol=1e-5)

    def test_a_stranger_gets_a_list(self, name, checkerboard, fitted):
        stranger = Histories.of_users(checkerboard, np.array([-1]), at_day(30))
        assert sorted(fitted[name].retrieve(stranger, 11).rows[0]) == list(range(11))

    def test_what_comes_after_now_is_not_seen(self, name, checkerboard, fitted):
        cut = fit_baseline(name, checkerboard, at_day(5), SMALL)
        same = fit_baseline(name, checkerboard.between(None, at_day(5)), at_day(5), SMALL)
        users = users_of(checkerboard, 5)
        assert cut.retrieve(users, 11).rows.tolist() == same.retrieve(users, 11).rows.tolist()


def test_ties_go_to_the_item_with_more_buyers_then_to_the_lower_row():
    baseline = Baseline(ForAll(np.array([0, 0, 1, 0], dtype=np.float32)), np.array([1, 5, 0, 5]))
    found = baseline.retrieve(Histories.of_baskets([[]], 0), 4)
    assert found.rows.tolist() == [[2, 1, 3, 0]]


def test_popular_counts_people_not_purchases():
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


@pytest.fixture
def fashion():
    """What sells changes every ten days: in the window before the cut at day 40 sells what sold just before that window."""
    events = [(f"u{u}", 3 * (day // 10 if day < 30 else 2) + item, day) for u in range(6) for day in range(0, 40, 2) for item in range(3)]
    return log_of([*events, ("u0", 0, 45)], 12)


GRID = {"recent_popular": (100.0, 10.0), "personal_frequency": tuple(Weighting(count="log", half_life=h) for h in (None, 2))}


def test_tuning_finds_the_setting_that_foretells_the_window(fashion):
    tuned = tune_baselines(fashion, at_day(40), 10, grid=GRID)
    assert tuned.all.recent_popular == 10.0
    assert tuned.all.personal_frequency.half_life == 2
    assert tuned.all.ease == BaselineSettings().ease


def test_each_list_gets_its_own_setting():
    # Items 0 1 2 have 0 3 2 buyers in the 7 days before the window, 4 3 2 in 60. Two v buy 1 again, one buys 0 for the first time.
    before = [(f"u{u}", 0, 1) for u in range(4)] + [(f"v{v}", 1, 28) for v in range(3)] + [(f"w{w}", 2, 29) for w in range(2)]
    window = [("v0", 0, 35), ("v1", 1, 35), ("v2", 1, 35)]
    tuned = tune_baselines(log_of(before + window, 3), at_day(40), 10, grid={"recent_popular": (60.0, 7.0)})
    # All: 1 2 0 earns .5 + 1 + 1, 0 1 2 earns 1 + .63 + .63. New: 0 2 earns 1, 2 0 earns .63.
    assert (tuned.all.recent_popular, tuned.new.recent_popular) == (7.0, 60.0)


def test_tuning_sees_nothing_after_the_cut(fashion):
    told = []
    whole = tune_baselines(fashion, at_day(40), 10, grid=GRID, progress=lambda *what: told.append(what))
    assert whole == tune_baselines(fashion.between(None, at_day(40)), at_day(40), 10, grid=GRID)
    assert [done for _, done, _ in told] == [1, 2, 3, 4]


def test_tuning_needs_a_history_before_its_window(fashion):
    with pytest.raises(DataError, match="the cut leaves 0 events before it"):
        tune_baselines(fashion, at_day(40), 60, grid=GRID)


def test_the_grid_holds_settings_of_every_baseline_that_has_any():
    grid = default_grid()
    assert set(grid) == set(BaselineSettings.model_fields) == set(BASELINES) - {"popular"}
    for name, options in grid.items():
        assert all(BaselineSettings.model_validate({name: option}) for option in options)


def test_new_items_are_judged_with_their_own_setting(paper_split):
    config, told = EvaluateConfig(resamples=5), []
    short, long = (SMALL.model_copy(update={"recent_popular": days}) for days in (5.5, 100.0))
    both, mixed = (judge_baselines(paper_split, BaselinesConfig(all=long, new=new), config) for new in (long, short))
    assert set(both) == set(BASELINES)
    assert mixed["recent_popular"].metrics == both["recent_popular"].metrics
    # u0 may still have 2, sold on day 4, and 3, sold on day 5, and buys 2.
    assert both["recent_popular"].slices["new"]["mrr@5"].value == 1.0
    assert mixed["recent_popular"].slices["new"]["mrr@5"].value == 0.5
    judge_baselines(paper_split, BaselinesConfig(all=SMALL, new=SMALL), config, progress=lambda *what: told.append(what))
    assert told[0] == ("popular, ranking, all items", 3, 3)
