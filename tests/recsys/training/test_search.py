"""Training of what ranks a search: from purchases, from a search log, or from nothing, and never from what comes later."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.data.catalog import Catalog
from features.data.queries import Queries
from features.data.split import Split
from ranking.search_ranker import SearchRanker
from recsys.recommend import open
from recsys.refresh import build
from recsys.training.job import TrainingJob
from recsys.training.search import SearchWindow, fit_search
from recsys.training.search_lists.examples import FROM_LOG, FROM_PURCHASES, LEAST_LISTS, examples_of_log, examples_of_purchases
from recsys.training.search_lists.log_gate import WITHOUT
from recsys.training.towers import TextModels
from recsys.training.windows import Windows
from retrieval.text_search import count_clicks

Row = tuple[datetime, str, str | None, str, int, str | None]
TYPES = ("tea", "bakery", "paper", "produce")


@pytest.fixture(scope="module")
def job(ready: Any) -> TrainingJob:
    catalog, log = ready.workspace.load()
    retrieval = build.current_model(ready.workspace, ready.settings).retrieval  # the ranking reads the scores of its sources
    return TrainingJob(catalog, log, Windows.plan(log, log.end), ready.settings.model_copy(update={"retrieval": retrieval}), 0)


@pytest.fixture(scope="module")
def split(job: TrainingJob) -> Split:
    return job.windows.calibration.split(job.log)


@pytest.fixture(scope="module")
def trained(ready: Any) -> tuple[TextModels, Any]:
    """Encoder, towers and ranking of the model there is: theirs is not the training that is tested."""
    model = build.current_model(ready.workspace, ready.settings)
    snapshot = open.open_recommender(ready.workspace).snapshot
    states = model.encoder.token_states(snapshot_texts(snapshot))
    models = TextModels(snapshot.text_of, model.encoder, model.tower, model.query_tower, snapshot.text_vectors, states, {})
    return models, model.ranking


def snapshot_texts(snapshot: Any) -> list[str]:
    from features.text.embeddings import group
    from features.text.template import item_texts, text_hashes

    texts = item_texts(snapshot.catalog)
    return texts.gather(group(text_hashes(texts))[0]).to_list()


def lists(start: int, n: int, user: str | None = "user-03") -> list[Row]:
    """Lists of two queries that show three items each; the second is clicked and bought."""
    rows: list[Row] = []
    for number in range(n):
        time = datetime.fromtimestamp(start, UTC).replace(tzinfo=None) + timedelta(minutes=11 * number)
        query, items = (("rye bread", ("sku-10", "sku-15", "sku-11")), ("red apple", ("sku-30", "sku-35", "sku-31")))[number % 2]
        rows += [(time, query, item, "shown", rank, user) for rank, item in enumerate(items, 1)]
        rows += [(time, query, items[1], event, 2, user) for event in ("click", "purchase")]
    return rows


def log_of(job: TrainingJob, rows: list[Row]) -> Queries:
    columns = ["timestamp", "query", "item_id", "event", "rank", "user_id"]
    return Queries.of(pl.DataFrame(rows, schema=columns, orient="row"), job.catalog, job.log.user_ids)


def test_without_a_search_log_types_that_were_bought_are_asked_for(job: TrainingJob, split: Split) -> None:
    examples = examples_of_purchases(job.catalog, split, 0)
    assert examples is not None
    assert examples.source == FROM_PURCHASES
    assert {text for text in examples.texts if text in TYPES} == set(TYPES)
    bought = set(zip(*(column.tolist() for column in split.pairs), strict=True))
    known = np.flatnonzero(examples.users >= 0)
    assert 0.6 < len(known) / len(examples.users) < 0.9, "the others are asked as by an unknown visitor"
    of_list = np.repeat(np.arange(len(examples.texts)), examples.wanted.counts)
    for row, item in zip(of_list.tolist(), examples.wanted.item.tolist(), strict=True):
        if examples.users[row] >= 0:
            assert (int(examples.users[row]), item) in bought
    assert len({(item // 10) for item in examples.wanted.item[of_list == known[0]].tolist()}) == 1, "of one type"
    assert all(examples.histories(split).lengths[known] > 0)
    again = examples_of_purchases(job.catalog, split, 1)
    assert again is not None
    assert again.texts != examples.texts


def test_a_list_of_the_search_log_is_what_one_user_got_for_one_query_at_one_time(job: TrainingJob, split: Split) -> None:
    examples = examples_of_log(log_of(job, lists(split.cut, LEAST_LISTS)), split, 0)
    assert examples is not None
    assert examples.source == FROM_LOG
    assert len(examples.texts) == LEAST_LISTS
    assert set(examples.texts) == {"rye bread", "red apple"}
    assert {str(job.log.user_ids[user]) for user in examples.users.tolist()} == {"user-03"}
    assert set(examples.wanted.item.tolist()) == {15, 35}
    assert examples.shown is not None
    assert set(examples.shown.item.tolist()) == {10, 11, 15, 30, 31, 35}
    assert examples.weight is not None
    assert (examples.weight > 1).all(), "a click on the second place counts more than one on the first"
    plain = examples_of_log(log_of(job, lists(split.cut, LEAST_LISTS, None)), split, 0, debiased=False)
    assert plain is not None
    assert plain.weight is None
    assert set(plain.users.tolist()) == {-1}


def test_what_was_bought_within_a_day_of_a_search_judges_it_whether_it_was_shown_or_not(job: TrainingJob, split: Split) -> None:
    start, later = split.cut + 86_400, split.labels
    last = start + 660 * (LEAST_LISTS - 1)
    within = (later.time >= start) & (later.time < last + 86_400)
    user = int(np.bincount(later.user[within & ~np.isin(later.item, [10, 11, 15, 30, 31, 35])]).argmax())
    own = set(later.item[within & (later.user == user)].tolist())
    examples = examples_of_log(log_of(job, lists(start, LEAST_LISTS, str(job.log.user_ids[user]))), split, 0)
    assert examples is not None
    assert examples.bought is not None
    assert own - {10, 11, 15, 30, 31, 35}, "other than what was shown"
    assert set(examples.bought.item.tolist()) == own | {15, 35}
    nobody = examples_of_log(log_of(job, lists(split.cut, LEAST_LISTS, None)), split, 0)
    assert nobody is not None
    assert nobody.bought is not None
    assert nobody.bought.keys.tolist() == nobody.wanted.keys.tolist(), "the log alone knows what an unknown visitor bought"


def test_too_few_lists_or_none_in_the_window_are_no_log_to_learn_from(job: TrainingJob, split: Split) -> None:
    for rows in (lists(split.cut, LEAST_LISTS - 1), lists(split.cut - 90 * 86_400, LEAST_LISTS), lists(split.end, LEAST_LISTS)):
        assert examples_of_log(log_of(job, rows), split, 0) is None


def test_it_learns_from_purchases(job: TrainingJob, trained: tuple[TextModels, Any], tmp_path: Any) -> None:
    ranker, _, report = fit_search(job, *trained, tmp_path)
    assert ranker.booster is not None
    assert ranker.calibration is not None
    assert report["learned_from"] == FROM_PURCHASES
    assert report["lists"] > 20
    assert report["gain"]["relevance_share"] > 0


def test_a_search_log_is_weighed_against_purchases_and_counts_only_what_was_clicked_before(
    job: TrainingJob, split: Split, trained: tuple[TextModels, Any], tmp_path: Any
) -> None:
    before, within = lists(split.cut - 10 * 86_400, 40), lists(split.cut, LEAST_LISTS)
    with_log = replace(job, queries=log_of(job, [*before, *within]))
    ranker, _, report = fit_search(with_log, *trained, tmp_path)
    found = report["search_log"]
    assert (found["judged"], found["kept"], report["learned_from"]) == (LEAST_LISTS // 4, WITHOUT, FROM_PURCHASES)
    assert len(set(found["ndcg@10"].values())) == 1, "what it says is known from purchases"
    assert ranker.booster is not None
    assert report["gain"]["log_clicks"] == 0
    window, earlier = SearchWindow.of(with_log, *trained), log_of(job, before)
    counted = window.clicks
    only_before = count_clicks(earlier, window.text_search.lexical, share=len(earlier) / len(log_of(job, [*before, *within])))
    assert len(counted.keys) == 2
    assert counted.to_files() == only_before.to_files()


def test_a_shop_with_nothing_to_learn_from_keeps_the_fixed_mix(job: TrainingJob, trained: tuple[TextModels, Any], tmp_path: Any) -> None:
    titles = pl.Series([f"thing{chr(97 + row // 26)}{chr(97 + row % 26)}" for row in range(len(job.catalog))])
    frame = job.catalog.frame.with_columns(category=pl.lit(None, pl.String), title=titles)
    bare = replace(job, catalog=Catalog.from_frame(frame))
    models = replace(trained[0], text_of=np.arange(len(frame)))
    models = replace(models, states=models.encoder.token_states(titles.to_list()), vectors=models.vectors[np.zeros(len(frame), dtype=int)])
    ranker, pairs, report = fit_search(bare, models, trained[1], tmp_path)
    assert (ranker, pairs) == (SearchRanker(), None)
    assert report["learned_from"].startswith("nothing")
