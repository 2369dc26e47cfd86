"""`recsys evaluate search` on the tiny shop: its protocols, what it writes, and how the command line asks for it."""

from __future__ import annotations

import json
from typing import Any, cast

import numpy as np
import polars as pl
import pytest

from features.errors import DataError
from ranking.cross_encoder.config import QueryPairConfig
from recsys.apps.search.evaluate import WITHOUT_PAIRS, SearchEvaluation, evaluate_search, runs
from recsys.apps.search.pipeline import Search
from recsys.cli.main import run
from recsys.recommend.open import open_recommender
from recsys.training import find_or_train

BASELINES = {"bm25", "bm25_then_popular", "bm25_and_popular", "encoder", "bm25_and_encoder"}
FEW = 40


@pytest.fixture
def without_training(spare, monkeypatch):
    """The spare shop, whose model stands for one that was trained before the cut: what it is worth is not tested here."""
    from recsys.apps.search import evaluate
    from recsys.refresh import build

    model = build.current_model(spare.workspace, spare.settings)
    monkeypatch.setattr(evaluate, "model_until", lambda *_: model)
    monkeypatch.setattr(find_or_train, "train_model", lambda *_: pytest.fail("a model was trained"))
    return spare


def test_the_personal_protocol_is_beside_baselines_and_written(without_training):
    place = without_training
    report = evaluate_search(place.workspace, place.settings, SearchEvaluation("personal", queries=FEW))
    found = json.loads(report.to_json())
    assert found["queries"]["protocol"] == "personal"
    assert found["metrics"]["ndcg@10"]["queries"] == found["queries"]["queries"] > FEW / 2
    assert found["baselines"].keys() >= BASELINES | {"bm25_own_and_popular", "ours_impersonal"}
    assert found["ratios"].keys() == found["baselines"].keys() == found["differences"].keys()
    assert {"as it is", "shortened", "typo", "head"} <= found["slices"].keys()
    assert found["one_edit"]["typed"]["value"] > 0
    assert found["cut"].startswith("2024-06-2")
    assert found["baselines"]["bm25"]["settings"]["k1"] > 0
    assert (place.workspace.reports / "search_evaluation.json").read_text() == report.to_json()


def test_what_a_user_bought_before_helps_that_user(without_training):
    """Staples are rebought, so own purchases must beat popularity for the baseline too: else users or histories are mixed up."""
    place = without_training
    report = evaluate_search(place.workspace, place.settings, SearchEvaluation("personal", queries=200))
    quality = {name: result.metrics["ndcg@10"].value for name, result in report.baselines.items()}
    assert quality["bm25_own_and_popular"] > quality["bm25_and_popular"]
    assert report.ours.metrics["ndcg@10"].value > quality["bm25_then_popular"]


def test_judged_queries_are_answered_by_the_bundle_in_use(without_training, tmp_path):
    place, file = without_training, tmp_path / "judged.csv"
    rows = [("green tea", "sku-00", 3), ("green tea", "sku-05", 2), ("rye bread", "sku-10", 1), ("rye bread", "sku-15", 1)]
    pl.DataFrame(rows, schema=["query", "item_id", "rating"], orient="row").write_csv(file)
    report = evaluate_search(place.workspace, place.settings, SearchEvaluation(judged=file))
    assert report.queries.name == "judged"
    assert report.about["bundle_id"] is not None
    assert report.ours.metrics["ndcg@10"].value > 0.5
    assert report.baselines["bm25"].metrics["mrr@10"].value == 1
    assert report.baselines.keys() >= BASELINES
    assert "bm25_own_and_popular" not in report.baselines
    assert any("these very queries" in note for note in report.queries.notes)


class Reads:
    """A cross-encoder that counts what it is asked."""

    config = QueryPairConfig()
    calls = 0

    def logits(self, left, rows, tokens):
        self.calls += 1
        return np.zeros(rows.shape, dtype=np.float32)


@pytest.mark.parametrize("there", [True, False])
def test_ours_without_the_cross_encoder_is_a_row_where_there_is_one(without_training, monkeypatch, there):
    place, reads = without_training, Reads()
    search = Search(open_recommender(place.workspace))
    monkeypatch.setitem(vars(search.recommender.model), "pairs", reads if there else None)
    rows = runs(search)
    assert (WITHOUT_PAIRS in rows) is there
    rows["ours"](["rye bread"], [None], 10)
    assert reads.calls == there
    if there:
        rows[WITHOUT_PAIRS](["rye bread"], [None], 10)
        assert reads.calls == 1


def test_a_search_without_a_cross_encoder_says_so(without_training):
    place = without_training
    report = evaluate_search(place.workspace, place.settings, SearchEvaluation("personal", queries=8))
    assert any("has no cross-encoder" in note for note in report.queries.notes) is (WITHOUT_PAIRS not in report.baselines)


def searched(place, *rows):
    """Ingest a search log of (day of the log, query, item, event, user)."""
    frame = pl.DataFrame(rows, schema=["day", "query", "item_id", "event", "user_id"], orient="row")
    frame = frame.select(pl.datetime(2024, 1, 1).dt.offset_by(pl.format("{}d", "day")).alias("timestamp"), pl.exclude("day"), rank=1)
    file = place.folder / "queries.csv"
    frame.write_csv(file)
    from features.ingest.source import Source

    place.workspace.ingest(Source(items=place.items, interactions=place.log, queries=file))


def test_the_search_log_is_the_default_where_something_was_chosen_after_the_cut(without_training):
    place = without_training
    searched(
        place,
        (5, "tea", "sku-00", "shown", None),
        (195, "green tea", "sku-00", "click", "user-03"),
        (196, "rye", "sku-10", "purchase", None),
    )
    report = evaluate_search(place.workspace, place.settings, SearchEvaluation(queries=FEW))
    assert report.queries.name == "log"
    assert sorted(report.queries.queries) == ["green tea", "rye"]
    assert set(report.queries.users) == {"user-03", None}
    assert evaluate_search(place.workspace, place.settings, SearchEvaluation("personal", queries=8)).queries.name == "personal"


def test_a_search_log_without_choices_is_passed_over_and_that_is_said(without_training, caplog):
    place = without_training
    searched(place, (195, "tea", "sku-00", "shown", None))
    assert evaluate_search(place.workspace, place.settings, SearchEvaluation(queries=8)).queries.name == "personal"
    assert "no click or purchase" in caplog.text
    with pytest.raises(DataError, match="no click or purchase"):
        evaluate_search(place.workspace, place.settings, SearchEvaluation("log"))


def test_a_shop_without_a_search_log_is_told_how_to_get_one(without_training):
    with pytest.raises(DataError, match="--queries FILE"):
        evaluate_search(without_training.workspace, without_training.settings, SearchEvaluation("log"))


@pytest.mark.parametrize(("protocol", "file"), [("judged", None), ("log", "x.csv"), ("personal", "x.csv")])
def test_protocol_and_file_go_together(protocol, file):
    with pytest.raises(DataError, match="go together"):
        SearchEvaluation(protocol, file)


@pytest.mark.parametrize("options", [["--judged", "x.csv"], ["--protocol", "log"]])
def test_options_of_search_without_search_are_a_usage_error(options, tmp_path, capsys):
    assert run(["--workspace", str(tmp_path), "evaluate", *options]) == 2
    assert "recsys evaluate search" in capsys.readouterr().err


def test_the_command_line_prints_tables_or_json(without_training, tmp_path, capsys):
    place, file = without_training, tmp_path / "judged.jsonl"
    file.write_text('{"query": "green tea", "accept": "green tea"}\n')
    line = ["--workspace", str(place.workspace.root), "evaluate", "search", "--judged", str(file)]
    assert run(line) == 0
    assert "1 query, judged queries" in capsys.readouterr().out
    assert run([*line, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["queries"]["with_relevant"] == 1


def test_nothing_of_the_search_log_after_the_cut_is_learned_from(without_training, monkeypatch):
    """Neither by the model nor by the counts of clicks: the query clicked after the cut has no evidence, that before it has."""
    from recsys.apps.search import evaluate

    place, seen = without_training, {}
    searched(place, (5, "herbal", "sku-02", "click", "user-03"), (195, "iced", "sku-09", "click", "user-03"))
    model, judge = cast("Any", evaluate.model_until)(), evaluate.evaluate_setting
    monkeypatch.setattr(evaluate, "model_until", lambda *args: seen.update(options=args[3], until=args[5]) or model)
    monkeypatch.setattr(evaluate, "evaluate_setting", lambda setting, *rest: seen.update(setting=setting) or judge(setting, *rest))
    evaluate_search(place.workspace, place.settings, SearchEvaluation("log"))
    assert seen["options"].queries.time.max() < seen["until"]
    clicks = seen["setting"].search.recommender.snapshot.query_clicks
    assert clicks.item.tolist() == [2]
    assert seen["setting"].queries.queries == ("iced",)
