"""The page of experiments: verdict and days of each, what is off, and a file that is wrong."""

from __future__ import annotations

import time

from starlette.testclient import TestClient

from recsys.apps.storefront.experiments.assignment import ExperimentBook
from recsys.apps.storefront.experiments.definition import day
from recsys.apps.storefront.experiments.listing import read_out_named, report_of
from recsys.workspace.served_pages import Action, Impression, ServedPage, ShownItem
from tests.recsys.conftest import Place
from tests.recsys.service.pages import seen

DAY = 86_400


def test_the_page_shows_what_the_read_out_found(place: Place, client: TestClient) -> None:
    workspace, now = place.workspace, int(time.time())
    today = now - now % DAY
    assert "There are no experiments" in seen(client.get("/experiments"))
    span = f"from = {day(today - 5 * DAY)}\nto = {day(today + 5 * DAY)}\nunits = 400"
    text = f"[experiments.diverse]\n{span}\n[experiments.diverse.arms]\na = {{}}\nb = {{settings = {{diversity = 0.5}}}}\n"
    workspace.experiments.write_text(text)
    assert "Not read out yet" in seen(client.get("/experiments"))
    book, pages, clicks = ExperimentBook(workspace), [], []
    book.catch_up(now)
    for number in range(400):
        when = today - 4 * DAY + 500 * number
        (exposure,) = book.assign("home", f"visitor-{number}", None, when).exposures
        row = Impression(f"e{number}", "for_you", (ShownItem("sku-07"),))
        pages.append(ServedPage(f"e{number}", "home", when, (row,), f"visitor-{number}", exposures=(exposure,)))
        clicks += [Action(f"e{number}", "sku-07", "click", when)] if exposure.arm == "b" else []
    workspace.impressions.add_served(pages)
    workspace.impressions.add_actions(clicks, now)
    found = read_out_named(workspace, "diverse", now)
    shown = seen(client.get("/experiments"))
    assert found.verdict.split(":")[0] in shown
    assert "b against a, day by day" in shown
    assert "error_share: kept" in shown
    assert "visitor-" not in shown
    workspace.experiments.write_text(text.replace("0.5", "0.6"))
    assert "restore that, or give the experiment a new name" in seen(client.get("/experiments"))
    workspace.experiments.write_text(text.replace("diversity", "diversty"))
    assert "did you mean 'diversity'" in seen(client.get("/experiments"))
    workspace.experiments.write_text(text)
    report_of(workspace.reports, "diverse").write_text("[")
    assert "Not read out yet" in seen(client.get("/experiments"))
