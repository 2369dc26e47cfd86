"""The pages of reports that other commands wrote."""

from __future__ import annotations

import shutil

import polars as pl
from starlette.testclient import TestClient

from features.ingest.table_versions import PROFILE, in_use
from recsys.refresh.refresh import refresh
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import Serve
from tests.recsys.service.pages import seen


def test_reports(hostile: TestClient) -> None:
    evaluation = seen(hostile.get("/evaluation"))
    assert "98.1% of the items score lower in 40 answers" in evaluation
    assert "target: 95%, reached" in evaluation
    assert "recent popular 0.2500 [0.2000–0.3000]" in evaluation
    assert "50.0% 25.0% 12.5%" in evaluation
    assert "is in use now: run recsys evaluate again" in evaluation
    assert "is better" in seen(hostile.get("/simulations"))
    assert "+0.1000 [+0.0500 to +0.1500]" in seen(hostile.get("/simulations/simulation-popular-x"))


def test_reports_that_are_missing_or_damaged(spare: Place, serve: Serve) -> None:
    client = serve(spare)
    shutil.rmtree(spare.workspace.reports, ignore_errors=True)
    assert "recsys evaluate" in seen(client.get("/evaluation"))
    assert "recsys simulate" in seen(client.get("/simulations"))
    spare.workspace.reports.mkdir()
    for text in ("{", "[]", "{}"):
        for name in ("evaluation", "simulation-a-b"):
            (spare.workspace.reports / f"{name}.json").write_text(text)
        assert "evaluation.json is damaged" in seen(client.get("/evaluation"), 404)
        assert "simulation-a-b.json is damaged" in seen(client.get("/simulations"))


def test_the_data_page_says_how_the_tables_were_read(hostile: TestClient, spare: Place, serve: Serve) -> None:
    words = seen(hostile.get("/data"))
    assert "title our name" not in words
    assert "title title (our name)" in words
    assert "alert(" in words, "an example of a title, escaped"
    pl.read_csv(spare.items).rename({"available": "in_stock"}).write_csv(spare.items)
    spare.ingest()
    client = serve(spare)
    assert "in_stock not read; is it available?" in seen(client.get("/data"))
    (in_use(spare.workspace.data) / PROFILE).unlink()
    assert "There is no data profile yet" in seen(client.get("/data"))


def test_gates_and_drift_of_a_refresh(spare: Place, serve: Serve) -> None:
    pl.read_csv(spare.log).with_columns(value=pl.col("value") * 3).write_csv(spare.log)
    refresh(spare.workspace, spare.settings)
    words = seen(serve(spare).get("/refreshes"))
    assert "max_items_lost 0.000 0.2 passed" in words
    assert "PSI" in words
    assert "Last purchase in the log 2024-07" in words
