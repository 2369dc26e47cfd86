"""The page of experiments: verdict and days of each, what is off, and a file that is wrong."""

from __future__ import annotations

import time

from starlette.testclient import TestClient

from recsys.apps.storefront.experiments.listing import read_out_named, report_of
from tests.recsys.conftest import Place
from tests.recsys.service.pages import running_experiment, seen


def test_the_page_shows_what_the_read_out_found(place: Place, client: TestClient) -> None:
    workspace = place.workspace
    assert "There are no experiments" in seen(client.get("/experiments"))
    text = running_experiment(place)
    assert "Not read out yet" in seen(client.get("/experiments"))
    found = read_out_named(workspace, "diverse", int(time.time()))
    shown = seen(client.get("/experiments"))
    assert found.verdict.split(":")[0] in shown
    assert "b against a, day by day" in shown
    assert "error share: kept" in shown
    assert "visitor-" not in shown
    workspace.experiments.write_text(text.replace("0.5", "0.6"))
    assert "restore that, or give the experiment a new name" in seen(client.get("/experiments"))
    workspace.experiments.write_text(text.replace("diversity", "diversty"))
    assert "did you mean 'diversity'" in seen(client.get("/experiments"))
    workspace.experiments.write_text(text)
    report_of(workspace.reports, "diverse").write_text("[")
    assert "Not read out yet" in seen(client.get("/experiments"))
