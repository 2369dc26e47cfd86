"""The evaluation of searches: metrics beside baselines, slices, the share kept after one edit, and the JSON."""

import json

import numpy as np
import pytest

from eval.metrics.intervals import Bootstrap
from eval.metrics.judged import Judgments
from eval.search.evaluate import BATCH, DEPTH, ask, evaluate_search, one_edit
from eval.search.query_set import QuerySet

N = 300  # more than a batch
N_ITEMS = 400


def queries_of(users=None) -> QuerySet:
    """Query i wants item i with the rating 3 and item i + 1 with 1; the last wants nothing."""
    wanted = np.arange(N - 1)
    query, item = np.concatenate([wanted, wanted]), np.concatenate([wanted, wanted + 1])
    judgments = Judgments.of(query, item, np.repeat([3.0, 1.0], N - 1), N, N_ITEMS)
    texts = tuple(f"query number {i}" for i in range(N))
    return QuerySet("judged", texts, users or (None,) * N, judgments, {"first": np.arange(N) < 10})


def number(text: str) -> int:
    return int(text.rsplit(" ", 1)[1])


def right(queries, _users, k):
    return np.array([[number(text), number(text) + 1, *[-1] * (k - 2)] for text in queries])


def second(queries, _users, _k):
    return np.array([[0 if number(text) else 399, number(text)] for text in queries])


def test_metrics_beside_a_baseline():
    report = evaluate_search({"ours": right, "other": second}, queries_of(), Bootstrap(50))
    assert report.ours.metrics["ndcg@10"].value == 1
    assert report.ours.metrics["recall@100"].value == 1
    assert report.ours.metrics["precision@10"].value == pytest.approx(0.2)
    assert report.ours.metrics["ndcg@10"].users == N - 1
    other = report.baselines["other"]
    assert other.metrics["mrr@10"].value == pytest.approx(1 / 2, abs=0.01)
    assert report.ratios["other"].value == pytest.approx(1 / other.metrics["ndcg@10"].value)
    assert report.differences["other"].value == pytest.approx(1 - other.metrics["ndcg@10"].value)
    assert report.differences["other"].low > 0
    assert report.ours.slices["first"]["ndcg@10"].users == 10


def test_lists_are_asked_for_in_batches_with_their_users_and_padded():
    calls = []

    def run(queries, users, k):
        calls.append((len(queries), users[0], k))
        return np.zeros((len(queries), 1), dtype=np.int64)

    rows = ask(run, queries_of(tuple(f"u{i}" for i in range(N))), DEPTH)
    assert calls == [(BATCH, "u0", DEPTH), (N - BATCH, f"u{BATCH}", DEPTH)]
    assert rows.shape == (N, DEPTH)
    assert (rows[:, 1:] == -1).all()


@pytest.mark.parametrize(
    "run",
    [
        lambda queries, _users, k: np.zeros((len(queries) - 1, k), dtype=np.int64),
        lambda queries, _users, k: np.full((len(queries), k), N_ITEMS),
        lambda queries, _users, k: np.full((len(queries), k), -2),
    ],
)
def test_lists_that_do_not_fit_are_refused(run):
    with pytest.raises(ValueError, match="expected one list a query"):
        ask(run, queries_of(), 10)


def test_intervals_are_over_customers_where_they_ask():
    def lucky(queries, _users, _k):  # for the customers of the first half alone
        return np.array([[number(text) if number(text) < N / 2 else 399] for text in queries])

    few = tuple(f"user {i // 75}" for i in range(N))
    apart, together = (evaluate_search({"ours": lucky}, queries_of(users), Bootstrap(200)) for users in (None, few))
    width, wider = (one.ours.metrics["mrr@10"].high - one.ours.metrics["mrr@10"].low for one in (apart, together))
    assert apart.ours.metrics["mrr@10"].value == together.ours.metrics["mrr@10"].value
    assert wider > 3 * width


def test_the_share_kept_is_that_of_the_queries_with_one_edit():
    asked = []

    def exact(queries, users, k):
        asked.extend(queries)
        known = np.array([text.startswith("query number ") for text in queries])
        return np.where(known[:, None], right([t if ok else "x 0" for t, ok in zip(queries, known, strict=True)], users, k), -1)

    found = one_edit(exact, queries_of(), Bootstrap(20))
    assert found.typed.value == pytest.approx(0.2)
    assert (found.edited.value, found.kept.value) == (0, 0)
    assert len(set(asked)) == 2 * N
    assert one_edit(lambda q, u, k: np.tile([0, 1], (len(q), 1)), queries_of(), Bootstrap(20)).kept.value == 1


def test_queries_without_a_long_word_are_left_out_of_the_share_kept():
    short = QuerySet("judged", ("tea", "oat milk"), (None, None), Judgments.of(np.array([0, 1]), np.array([0, 0]), np.ones(2), 2, 3))
    assert one_edit(lambda q, u, k: np.zeros((len(q), 1), dtype=np.int64), short, Bootstrap(20)).kept.users == 1


def test_the_json_has_the_contract_of_the_command_line():
    report = evaluate_search({"ours": right, "other": second}, queries_of(), Bootstrap(50))
    report = report.also(settings={"other": {"k1": 0.4}}, about={"cut": None, "bundle_id": "b"}, one_edit=one_edit(right, queries_of()))
    found = json.loads(report.to_json())
    assert found["metrics"]["ndcg@10"] == {"value": 1.0, "low": 1.0, "high": 1.0, "queries": N - 1}
    assert set(found["baselines"]["other"]) == {"metrics", "slices", "settings"}
    assert found["slices"]["first"]["mrr@10"]["value"] == 1
    assert found["ratios"]["other"]["low"] > 1
    assert set(found["one_edit"]) == {"typed", "edited", "kept"}
    assert found["queries"]["with_relevant"] == N - 1
    assert found["bundle_id"] == "b"


def test_the_worst_queries_are_those_that_a_baseline_answers_better():
    def bad(queries, users, k):
        rows = right(queries, users, k)
        rows[[number(text) in (5, 17) for text in queries]] = -1
        return rows

    def good_at_17(queries, users, k):
        rows = right(queries, users, k)
        rows[[number(text) != 17 for text in queries]] = -1
        return rows

    worst = evaluate_search({"ours": bad, "other": good_at_17}, queries_of(), Bootstrap(20)).worst()
    assert [one["query"] for one in worst[:2]] == ["query number 17", "query number 5"]
    assert (worst[0]["ndcg@10"], worst[0]["best_baseline"]) == (0, 1)
    assert not any(np.isnan(one["ndcg@10"]) for one in worst)


def test_a_query_set_of_unequal_lengths_is_refused():
    with pytest.raises(ValueError, match="expected one"):
        QuerySet("judged", ("a",), (None, None), Judgments.of(np.array([0]), np.array([0]), np.ones(1), 1, 1))
