"""The search log is learned from where held-out searches find more of what was bought, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from eval.metrics.user_items import UserItems
from features.data.histories import Histories
from features.names import DENSE_SCORE, ITEM_PRICE, LEXICAL_SCORE, LOG_CLICKS, PREFERENCE, RELEVANCE, RELEVANCE_SHARE, SALES, SALES_EVER
from ranking.search_ranker import LabelledLists
from recsys.artifacts.model_card import of_search_log
from recsys.training.search_lists.examples import FROM_LOG, FROM_PURCHASES, SearchExamples
from recsys.training.search_lists.log_gate import CLICKS, LISTS, WITHOUT, LogGate
from retrieval.candidates import Candidates

N, K = 240, 20  # lists of each part, items


def made(shown: int, source: str, seed: int, *, clicks: bool, misled: bool) -> tuple[SearchExamples, LabelledLists]:
    """Lists of items in which one that sells is bought, or the one that was clicked before; a misled log has clicks on the worst."""
    rng = np.random.default_rng(seed)
    rows = np.tile(np.arange(K), (N, 1))
    sales, clicked = rng.random((N, K)), np.zeros((N, K))
    bought = np.argmax(sales + rng.normal(0, 0.2, (N, K)), axis=1)
    if clicks:
        bought = rng.integers(K, size=N)
        clicked[np.arange(N), bought] = 1
    labels = np.arange(K) == (np.argmin(sales, axis=1) if misled else bought)[:, None]
    noise = {name: np.ones((N, K)) for name in (RELEVANCE, RELEVANCE_SHARE, LEXICAL_SCORE, DENSE_SCORE, PREFERENCE, ITEM_PRICE, SALES_EVER)}
    features = {name: column.astype(np.float32) for name, column in (noise | {SALES: sales, LOG_CLICKS: clicked}).items()}
    candidates = Candidates(
        replace(Histories.of_baskets([[0]] * N, 0), rows=np.arange(N)), rows, np.zeros((N, K), dtype=np.float32), features
    )
    wanted, later = (UserItems.of(some.nonzero()[0], some.nonzero()[1], N, K) for some in (labels, np.arange(K) == bought[:, None]))
    examples = SearchExamples(("x",) * N, np.full(N, -1), wanted, None, None, source, later if source == FROM_LOG else None)
    return examples, LabelledLists(candidates, labels, (np.arange(K) < shown).astype(np.float32) + np.zeros((N, 1), dtype=np.float32))


def gate(*, clicks: bool = False, misled: bool = False, only: str | None = None) -> LogGate:
    of_log, logged = made(K, FROM_LOG, 1, clicks=clicks, misled=misled)
    of_purchases, bought = made(K, FROM_PURCHASES, 2, clicks=clicks, misled=False)
    data = LabelledLists.joined([logged, bought])
    parts = [part for part in (of_log, of_purchases) if only in (None, part.source)]
    return LogGate.of(parts, data, np.arange(2 * N) % 4 == 3, 0)


def test_a_log_that_says_no_more_than_purchases_is_not_learned_from() -> None:
    found = gate()
    assert (found.clicks, found.lists, found.report["kept"], found.report["judged"]) == (False, False, WITHOUT, N // 4)


def test_nor_is_one_of_clicks_on_what_nobody_buys() -> None:
    found = gate(misled=True)
    assert found.report["kept"] == WITHOUT
    assert found.report["ndcg@10"][LISTS] < found.report["ndcg@10"][WITHOUT], "it would have cost"


def test_clicks_that_tell_what_is_bought_are_read() -> None:
    found = gate(clicks=True)
    assert (found.clicks, found.lists, found.report["kept"]) == (True, False, CLICKS), "lists add nothing to them"
    assert found.report["ndcg@10"][CLICKS] > found.report["ndcg@10"][WITHOUT] + 0.3


@pytest.mark.parametrize("source", [FROM_LOG, FROM_PURCHASES])
def test_one_source_alone_leaves_nothing_to_choose(source: str) -> None:
    assert gate(misled=True, only=source) == LogGate()


def test_a_log_whose_searches_lead_to_no_purchase_is_not_learned_from() -> None:
    of_log, logged = made(K, FROM_LOG, 1, clicks=True, misled=False)
    of_purchases, bought = made(K, FROM_PURCHASES, 2, clicks=True, misled=False)
    nothing = UserItems.of(np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int64), N, K)
    parts = [replace(of_log, bought=nothing), of_purchases]
    found = LogGate.of(parts, LabelledLists.joined([logged, bought]), np.arange(2 * N) % 4 == 3, 0)
    assert (found.clicks, found.lists, found.report) == (False, False, {"judged": 0, "kept": WITHOUT})


def test_without_lists_of_purchases_there_is_nothing_to_compare_a_log_with() -> None:
    of_log, logged = made(K, FROM_LOG, 1, clicks=True, misled=False)
    of_purchases, bought = made(K, FROM_PURCHASES, 2, clicks=True, misled=False)
    data = LabelledLists.joined([logged, replace(bought, labels=np.zeros_like(bought.labels))])
    assert LogGate.of([of_log, of_purchases], data, np.arange(2 * N) % 4 == 3, 0) == LogGate()


def test_clicks_that_are_not_read_are_the_same_everywhere() -> None:
    _, data = made(K, FROM_LOG, 1, clicks=True, misled=False)
    assert LogGate().applied(data) is data
    assert not LogGate(clicks=False).applied(data).candidates.features[LOG_CLICKS].any()


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ({"learned_from": FROM_PURCHASES}, "nothing: there is none"),
        ({"learned_from": FROM_PURCHASES, "search_log": {}}, "nothing: there is none"),
        ({"learned_from": FROM_LOG, "search_log": {}}, "all: there are too few purchases"),
        ({"learned_from": f"{FROM_LOG} and {FROM_PURCHASES}", "search_log": {}}, "all: there are too few purchases"),
        ({"search_log": {"judged": 0, "kept": WITHOUT}}, "nothing: nothing was bought after"),
        (
            {"search_log": {"judged": 9, "kept": WITHOUT, "ndcg@10": {WITHOUT: 0.4, CLICKS: 0.41, LISTS: 0.39}}},
            "nothing: NDCG@10 of what was bought after 9 held-out searches is 0.4000 without it, 0.4100 with its clicks, "
            "0.3900 with its clicks and its lists",
        ),
        ({"search_log": {"judged": 9, "kept": CLICKS, "ndcg@10": {WITHOUT: 0.4, CLICKS: 0.5}}}, "its clicks: NDCG@10 of"),
    ],
)
def test_the_card_says_which_it_was(facts: dict[str, Any], said: str) -> None:
    assert of_search_log(facts).startswith(said)
