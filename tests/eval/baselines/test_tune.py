import numpy as np
import pytest

from eval.baselines.registry import BASELINES, NEED_TIMES, QUICK, AnsweringEASE, BaselinesConfig, BaselineSettings, ItemTexts
from eval.baselines.search_space import Rounds, default_search_space
from eval.baselines.tune import evaluate_baselines, tune_baselines
from eval.protocol.evaluate import EvaluateConfig
from features.data.interactions import DAY
from features.data.split import Split
from features.errors import DataError
from retrieval.collaborative.als import ALSConfig
from retrieval.collaborative.markov import MarkovConfig
from retrieval.collaborative.scoring import Weighting
from tests.eval.shops import at_day, log_of

SMALL = BaselineSettings(als=ALSConfig(factors=4, iterations=5), ease=AnsweringEASE(l2=1.0), ease_trend=AnsweringEASE(l2=1.0))


def cut_at(log, day, days):
    """A split whose test, and so its validation, is `days` long: the log is taken to end there."""
    split = Split.by_time(log, at_day(day))
    return Split(split.history, split.labels, split.cut, split.cut + days * DAY)


@pytest.fixture
def fashion():
    """Popular items change every ten days; the window before day 40 sells what sold just before that window."""
    events = [(f"u{u}", 3 * (day // 10 if day < 30 else 2) + item, day) for u in range(6) for day in range(0, 40, 2) for item in range(3)]
    return log_of([*events, ("u0", 0, 45)], 12)


SPACE = {"recent_popular": (100.0, 10.0), "personal_frequency": tuple(Weighting(count="log", half_life=h) for h in (None, 2))}


def test_tuning_finds_the_setting_that_predicts_the_window(fashion):
    tuned = tune_baselines(cut_at(fashion, 40, 10), SPACE)
    assert tuned.all.recent_popular == 10.0
    assert tuned.all.personal_frequency.half_life == 2
    assert tuned.all.ease == BaselineSettings().ease


def test_each_list_gets_its_own_setting():
    # Items 0 1 2 have 0 3 2 buyers in the 7 days before the window, 4 3 2 in 60. Two v repeat 1, one buys 0 first.
    before = [(f"u{u}", 0, 1) for u in range(4)] + [(f"v{v}", 1, 28) for v in range(3)] + [(f"w{w}", 2, 29) for w in range(2)]
    window = [("v0", 0, 35), ("v1", 1, 35), ("v2", 1, 35)]
    log = log_of([*before, *window, ("v0", 0, 41)], 3)
    tuned = tune_baselines(cut_at(log, 40, 10), {"recent_popular": (60.0, 7.0)})
    # All: 1 2 0 earns .5 + 1 + 1, 0 1 2 earns 1 + .63 + .63. New: 0 2 earns 1, 2 0 earns .63.
    assert (tuned.all.recent_popular, tuned.new.recent_popular) == (7.0, 60.0)


def test_tuning_sees_nothing_after_the_cut(fashion):
    calls = []
    split = cut_at(fashion, 40, 10)
    other = Split(split.history, split.labels.where(split.labels.time < 0), split.cut, split.end)
    assert tune_baselines(split, SPACE, progress=lambda *what: calls.append(what)) == tune_baselines(other, SPACE)
    assert calls == [("tuned recent_popular", 2, 4), ("tuned personal_frequency", 4, 4)]


def test_tuning_needs_a_history_before_its_window(fashion):
    with pytest.raises(DataError, match="the cut leaves 0 events before it"):
        tune_baselines(cut_at(fashion, 40, 60), SPACE)


@pytest.mark.parametrize("ordered", [False, True])
def test_the_search_space_covers_every_baseline_with_settings(ordered):
    space = default_search_space(BASELINES, ordered)
    assert set(BaselineSettings.model_fields) == set(BASELINES) - {"popular"}
    assert set(space) == set(BaselineSettings.model_fields) - (set(NEED_TIMES) if ordered else set())
    for name, options in space.items():
        tried: list[object] = []
        if isinstance(options, Rounds):
            start = options.start
            tried += [start, *(type(start)(**start.model_dump() | dict(update)) for updates in options.rounds for update in updates)]
        else:
            tried += options
        assert all(getattr(BaselineSettings.model_validate({name: option}), name) == option for option in tried)
    assert set(default_search_space(QUICK, ordered)) == set(QUICK) - {"popular"}


def test_rounds_go_on_from_the_best_so_far():
    # In the window each v buys the item two steps after its history: 0, 1, 2. Items 3, 4, 5 outsell 1 and 2.
    past = [(f"u{u}", i, 3 * i + 1) for u in range(4) for i in range(3)]
    past += [(f"w{u}", i, 2) for u in range(9) for i in (3, 4, 5)]
    window = [(f"v{u}", i, 3 * i + 27) for u in range(4) for i in (0, 2)]
    log = log_of([*past, *window, ("u0", 0, 41)], 6)
    rounds = Rounds(MarkovConfig(reach=1, decay=0.1), [[{"reach": 2}], [{"decay": 0.9}, {"keep": 1}]])
    tuned = tune_baselines(cut_at(log, 40, 10), {"markov": rounds})
    assert (tuned.new.markov.reach, tuned.new.markov.keep) == (2, 200)


def test_baselines_that_need_texts_are_skipped_without_them(fashion):
    space = {name: default_search_space(BASELINES)[name] for name in ("recent_popular", "text_knn")}
    split = cut_at(fashion, 40, 10)
    texts = ItemTexts([""] * 12, np.eye(12))
    assert tune_baselines(split, space).names == ("popular", "recent_popular")
    tuned = tune_baselines(split, space, texts)
    assert tuned.names == ("popular", "recent_popular", "text_knn")
    assert list(evaluate_baselines(split, tuned, EvaluateConfig(resamples=5))) == ["popular", "recent_popular"]
    assert list(evaluate_baselines(split, tuned, EvaluateConfig(resamples=5), texts=texts)) == list(tuned.names)


def test_new_items_are_evaluated_with_their_own_setting(paper_split):
    config, calls = EvaluateConfig(resamples=5), []
    short, long = (SMALL.model_copy(update={"recent_popular": days}) for days in (5.5, 100.0))
    both, mixed = (evaluate_baselines(paper_split, BaselinesConfig(all=long, new=new), config) for new in (long, short))
    assert set(both) == set(QUICK)
    assert mixed["recent_popular"].metrics == both["recent_popular"].metrics
    # u0 may still have 2, sold on day 4, and 3, sold on day 5, and buys 2.
    assert both["recent_popular"].slices["new"]["mrr@5"].value == 1.0
    assert mixed["recent_popular"].slices["new"]["mrr@5"].value == 0.5
    evaluate_baselines(paper_split, BaselinesConfig(all=SMALL, new=SMALL), config, progress=lambda *what: calls.append(what))
    assert calls[0] == ("popular, ranking, all items", 3, 3)
