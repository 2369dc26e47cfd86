import json
import math

import numpy as np
import pytest

from eval.baselines.registry import Baseline, ForAll, distinct_buyers
from eval.protocol.evaluate import EvaluateConfig, System, evaluate
from eval.protocol.ground_truth import GroundTruth
from eval.protocol.runner import EvaluationRunner
from features.data.split import Split
from features.errors import DataError
from retrieval.candidates import Candidates
from tests.eval.shops import at_day, log_of

QUICK = EvaluateConfig(resamples=50)
LOG3 = math.log2(3)


def popular(split):
    buyers = distinct_buyers(split.history)
    return Baseline(ForAll(buyers.astype(np.float32)), buyers).retrieve


def value(values, metric):
    return values[metric].value


@pytest.fixture
def paper_report(paper_split):
    # All at right angles except items 0 and 1, which are equal.
    vectors = np.eye(6)[[0, 0, 2, 3, 4, 5]]
    return evaluate(System(popular(paper_split)), paper_split, QUICK, vectors)


def test_the_list_of_all_items_on_paper(paper_report):
    # Every list is 0 1 2 3. Relevant: 0 and 2 to u0, 2 to u1; u2 bought only cold items.
    metrics = paper_report.metrics
    assert value(metrics, "ndcg@10") == pytest.approx(((1 + 1 / 2) / (1 + 1 / LOG3) + 1 / 2) / 2)
    assert value(metrics, "recall@5") == 1.0
    assert value(metrics, "mrr@20") == pytest.approx((1 + 1 / 3) / 2)
    assert value(metrics, "hit_rate@5") == 1.0
    assert value(metrics, "map@5") == pytest.approx(((1 + 2 / 3) / 2 + 1 / 3) / 2)
    assert metrics["ndcg@10"].users == 2
    assert value(metrics, "coverage@10") == 1.0  # four shown of four known
    assert value(metrics, "novelty@10") == pytest.approx(1.5)  # 2 2 1 1 buyers of 4
    assert value(metrics, "diversity@10") == pytest.approx(1 - 1 / 6)  # one alike pair of six
    assert [value(paper_report.curve, k) for k in ("1", "2", "5")] == pytest.approx([0.25, 0.25, 1.0])


def test_the_slices_on_paper(paper_report):
    ndcg = {name: value(values, "ndcg@10") for name, values in paper_report.slices.items()}
    one = (1 + 1 / 2) / (1 + 1 / LOG3)
    expected = {
        "repeat": (1 + 1 / 2) / 2,
        "new": 1.0,
        "few": 1.0,
        "cold": 1 / math.log2(5),
        "light": math.nan,
        "medium": 1 / 2,
        "heavy": one,
    }
    assert ndcg == pytest.approx(expected, nan_ok=True)
    users = {name: values["ndcg@10"].users for name, values in paper_report.slices.items()}
    assert users == {"repeat": 2, "new": 1, "few": 1, "cold": 2, "light": 0, "medium": 1, "heavy": 1}


def test_the_scores_on_paper(paper_report):
    # Bought among the candidates: scores 2, 1, 1; not bought: five of 2, four of 1.
    assert value(paper_report.metrics, "auc") == pytest.approx((4 + 5 / 2 + 2 + 2) / 27)
    assert "log_loss" not in paper_report.metrics
    assert paper_report.reliability is None


def test_users_and_items_of_the_evaluation(paper_split, paper_report):
    assert paper_split.history.user_ids[paper_split.users].tolist() == ["u0", "u1", "u2"]
    assert (paper_report.users, paper_report.items) == (3, 4)
    assert paper_report.cut == "2024-01-11T00:00:00+00:00"


def test_requests_to_the_system(paper_split):
    calls = []

    def recommend(users, k, allowed):
        calls.append((len(users), k, None if allowed is None else np.broadcast_to(allowed, (len(users), 6)).astype(int).tolist()))
        return popular(paper_split)(users, k, allowed)

    evaluate(System(recommend), paper_split, QUICK)
    known = [1, 1, 1, 1, 0, 0]
    assert calls == [
        (3, 200, [known] * 3),
        (1, 20, [[0, 0, 1, 1, 0, 0]]),  # new: only u0 bought something new
        (1, 20, [[0, 0, 1, 1, 0, 0]]),  # few buyers: every known item has at most two
        (2, 20, [[0, 0, 1, 1, 1, 1], [1, 1, 1, 0, 1, 1]]),  # cold: u0 and u2
    ]


def test_batches_change_nothing(paper_split):
    whole = evaluate(System(popular(paper_split)), paper_split, QUICK)
    single = evaluate(System(popular(paper_split)), paper_split, EvaluateConfig(resamples=50, batch=1))
    assert whole.to_json() == single.to_json()


def test_events_other_than_purchases_are_neither_seen_nor_bought():
    events = [("u0", 0, 1), ("u0", 1, 1, "view"), ("u0", 0, 11, "view"), ("u0", 1, 12)]
    ground_truth = GroundTruth.of(Split.by_time(log_of(events, 2), at_day(10)))
    assert ground_truth.relevant("new").item.tolist() == [1]
    assert ground_truth.relevant("repeat").item.tolist() == []
    assert ground_truth.allowed("new", np.array([0])).tolist() == [[False, True]]


def test_unseen_items_are_those_the_user_had_not_bought_cold_or_not(paper_split):
    ground_truth = GroundTruth.of(paper_split)
    relevant = ground_truth.relevant("unseen")
    # u0 buys 2 (new) and 5 (cold), u1 repeats a purchase, u2 buys 4 (cold).
    assert list(zip(relevant.user.tolist(), relevant.item.tolist(), strict=True)) == [(0, 2), (0, 5), (2, 4)]
    assert ground_truth.allowed("unseen", np.array([0])).tolist() == [[False, False, True, True, True, True]]


def test_few_buyers_are_fewer_than_five_distinct_ones_of_a_known_item():
    events = [(f"u{i}", 0, 1) for i in range(5)]  # five buyers
    events += [(f"u{i}", 1, 1) for i in range(4)] + [("u0", 1, 2)] * 3  # four buyers, seven purchases
    events += [("u5", 2, 1, "view")]  # known, and nobody bought it
    after = [("u5", item, 11) for item in (0, 1, 2, 3)] + [("u0", 1, 11)]  # nobody knew 3; u0 had bought 1
    ground_truth = GroundTruth.of(Split.by_time(log_of(events + after, 5), at_day(10)))
    assert ground_truth.few.tolist() == [False, True, True, False, False]
    relevant = ground_truth.relevant("few")
    assert list(zip(relevant.user.tolist(), relevant.item.tolist(), strict=True)) == [(1, 1), (1, 2)]
    assert ground_truth.allowed("few", np.arange(2)).tolist() == [[False, False, True, False, False], [False, True, True, False, False]]


def test_a_sample_of_the_users_depends_on_the_seed(paper_split):
    some = [GroundTruth.of(paper_split, 2, seed).users.tolist() for seed in range(8)]
    assert all(len(users) == 2 and set(users) < {0, 1, 2} for users in some)
    assert some == [GroundTruth.of(paper_split, 2, seed).users.tolist() for seed in range(8)]
    assert len({tuple(users) for users in some}) > 1


def test_a_split_without_users_is_refused():
    split = Split.by_time(log_of([("u0", 0, 1), ("u1", 0, 11)], 1), at_day(10))
    with pytest.raises(DataError, match="nobody with events before the cut buys after it"):
        evaluate(System(popular(split)), split, QUICK)


def test_the_json_keeps_the_contract_and_is_strict(paper_split, paper_report):
    def refuse(constant):
        raise ValueError(constant)

    system = System(popular(paper_split), stages={"retrieval": popular(paper_split)})
    report = evaluate(system, paper_split, QUICK).beside({"popular": paper_report}, bundle_id="b1")
    found = json.loads(report.to_json(), parse_constant=refuse)
    assert set(found) == {"metrics", "slices", "stages", "baselines", "split", "reasons", "exposure", "exploration", "bundle_id"}
    assert found["split"] == {"cut": "2024-01-11T00:00:00+00:00", "users": 3, "items": 4}
    assert found["bundle_id"] == "b1"
    assert set(found["baselines"]["popular"]) == {"metrics", "slices"}
    assert set(found["slices"]) == {"repeat", "new", "few", "cold", "light", "medium", "heavy"}
    assert set(found["metrics"]["ndcg@10"]) == {"value", "low", "high", "users"}
    assert {f"{m}@{k}" for m in ("recall", "ndcg", "mrr", "map") for k in (5, 10, 20)} < set(found["metrics"])
    assert found["slices"]["light"]["ndcg@10"] == {"value": None, "low": None, "high": None, "users": 0}


def test_stages_separate_retrieval_from_ranking(paper_split):
    def backwards(users, k, allowed):
        found = popular(paper_split)(users, k, allowed)
        return found.ranked(-np.arange(k, 0, -1) * np.ones((len(users), 1)))

    report = evaluate(System(backwards, stages={"retrieval": popular(paper_split)}), paper_split, QUICK)
    retrieval, ranking = report.stages["retrieval"], report.stages["ranking"]
    assert value(retrieval["all"], "recall@100") == value(retrieval["all"], "recall@200") == 1.0
    assert value(retrieval["all"], "ndcg@10") == pytest.approx(0.70986, abs=1e-4)
    # 3 2 1 0: u0 hits at ranks 2 and 4, u1 at 2.
    assert value(ranking["all"], "ndcg@10") == pytest.approx(((1 / LOG3 + 1 / math.log2(5)) / (1 + 1 / LOG3) + 1 / LOG3) / 2)
    assert value(ranking["all"], "ndcg@10") == value(report.metrics, "ndcg@10")
    assert value(ranking["new"], "ndcg@10") == pytest.approx(1 / LOG3)  # 2 and 3 in the wrong order


@pytest.fixture(scope="module")
def oracle_shop():
    """150 users, 120 items; purchases after the cut are independent of those before it."""
    rng = np.random.default_rng(4)
    before = [(f"u{u:03d}", i, 1) for u in range(150) for i in rng.permutation(120)[:6]]
    after = [(f"u{u:03d}", i, 12) for u in range(150) for i in rng.permutation(120)[:6]]
    return Split.by_time(log_of(before + after, 120), at_day(10))


def oracle(split, score):
    """The best possible list, with scores `score(bought)`."""
    bought = np.zeros((split.history.n_users, 120), dtype=bool)
    bought[split.pairs] = True
    order = iter(split.users)

    def recommend(users, k, allowed):
        relevant = bought[[next(order) for _ in range(len(users))]]
        rows = np.argsort(~relevant, axis=1, kind="stable")[:, :k]
        scores = score(np.take_along_axis(relevant, rows, axis=1)).astype(np.float32)
        pad = np.full((len(users), k - rows.shape[1]), -1)
        return Candidates(users, np.hstack([rows, pad]), np.hstack([scores, np.where(pad < 0, -np.inf, 0)]).astype(np.float32))

    def retrieve(users, k, allowed):
        # Only the list of all items is for every user, in order; the others are empty here.
        if allowed is not None and allowed.ndim == 1:
            return recommend(users, k, allowed)
        return Candidates(users, np.full((len(users), k), -1), np.full((len(users), k), -np.inf, dtype=np.float32))

    return retrieve


def test_an_oracle_scores_one(oracle_shop):
    metrics = evaluate(System(oracle(oracle_shop, lambda hit: hit * 1.0), calibrated=True), oracle_shop, QUICK).metrics
    assert [value(metrics, m) for m in ("ndcg@10", "recall@10", "auc", "ece")] == pytest.approx([1.0, 1.0, 1.0, 0.0])
    assert value(metrics, "log_loss") == pytest.approx(0.0, abs=1e-5)


def test_an_oracle_that_returns_nan_scores_zero(oracle_shop):
    metrics = evaluate(System(oracle(oracle_shop, lambda hit: hit * np.nan), calibrated=True), oracle_shop, QUICK).metrics
    assert [value(metrics, m) for m in ("ndcg@10", "recall@10", "auc", "ece")] == [0.0, 0.0, 0.0, 1.0]
    assert value(metrics, "log_loss") == pytest.approx(-math.log(1e-6))


def test_a_constant_scorer_is_as_good_as_chance(oracle_shop):
    constant = Baseline(ForAll(np.zeros(120, dtype=np.float32)), np.zeros(120))
    metrics = evaluate(System(constant.retrieve), oracle_shop, EvaluateConfig()).metrics
    assert metrics["recall@10"].low < 10 / 120 < metrics["recall@10"].high
    assert value(metrics, "auc") == 0.5
    assert value(metrics, "coverage@10") == pytest.approx(10 / 120)


def test_scores_independent_of_the_labels_have_an_auc_of_one_half(oracle_shop):
    rng = np.random.default_rng(0)
    noise = oracle(oracle_shop, lambda hit: rng.random(hit.shape))
    auc = evaluate(System(noise), oracle_shop, EvaluateConfig()).metrics["auc"]
    assert auc.low < 0.5 < auc.high
    assert auc.high - auc.low < 0.1


def test_progress_counts_users(paper_split):
    calls = []
    evaluate(System(popular(paper_split)), paper_split, EvaluateConfig(resamples=5, batch=2), progress=lambda *what: calls.append(what))
    assert calls == [
        ("ranking, all items", 2, 3),
        ("ranking, all items", 3, 3),
        ("ranking, new items", 1, 1),
        ("ranking, few items", 1, 1),
        ("ranking, cold items", 2, 2),
    ]


@pytest.mark.parametrize("name", ["all", "new"])
def test_no_list_of_any_system_holds_what_its_user_disliked_before_the_cut(name):
    """u0 disliked item 1 before the cut, and item 2 after it; both are popular."""
    events = [("u0", 0, 1), ("u0", 1, 2, "dislike"), ("u0", 2, 11, "dislike"), ("u0", 3, 12), ("u1", 3, 12)]
    events += [(user, item, 3) for user in ("u1", "u2") for item in (1, 2)] + [("u2", 3, 4)]
    split = Split.by_time(log_of(events, 4), at_day(10))
    ground_truth = GroundTruth.of(split)
    rows = EvaluationRunner(ground_truth, QUICK, lambda _label, _done, _total: None).run(popular(split), name, 4).rows
    u0 = ground_truth.users.tolist().index(0)
    assert set(rows[u0].tolist()) - {-1} == ({0, 2, 3} if name == "all" else {2, 3})
    if name == "all":
        assert set(rows[1 - u0].tolist()) - {-1} == {0, 1, 2, 3}
