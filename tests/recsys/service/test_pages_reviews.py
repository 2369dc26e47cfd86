"""The page of reviews and its routes: figures, quotes, alerts, and what is wrong in a request."""

from __future__ import annotations

import re

from recsys.apps.reviews.watch import watch_reviews
from tests.recsys.apps.reviews.conftest import DAYS, ITEM, SURGE, reviewed

__all__ = ["reviewed"]


def test_the_page_and_the_routes_show_figures_quotes_and_alerts(reviewed, serve) -> None:
    place = reviewed(SURGE)
    assert "No refresh has looked for surges" in serve(place).get("/reviews").text
    watch_reviews(place.workspace, place.settings)
    assert "No surge of complaints." in serve(place).get("/reviews").text
    place = reviewed(DAYS)
    watch_reviews(place.workspace, place.settings)
    client = serve(place)
    page = client.get("/reviews", params={"item": ITEM})
    assert page.status_code == 200
    assert "480 reviews" in page.text
    assert "quality" in page.text
    assert 'role="alert"' in page.text
    assert "Bad quality, number" in page.text
    below = re.search(r'<tr><td colspan="4" class="words"><div>\+ <q>Good quality', page.text)
    assert below, "quotes stand below their aspect, on a narrow screen too"
    whole = client.get("/reviews")
    assert f"/reviews?item={ITEM}" in whole.text, "parts are links"
    answer = client.get("/v1/reviews", params={"item": ITEM}).json()
    assert (answer["name"], answer["reviews"]) == (ITEM, 480)
    (alert,) = client.get("/v1/reviews/alerts").json()["alerts"]
    assert alert["name"] == ITEM
    nothing = client.get("/reviews", params={"item": "nothing"})
    assert nothing.status_code == 422
    assert "Bad quality, number" in nothing.text, "alerts do not depend on what is asked for"
    assert client.get("/v1/reviews", params={"item": ITEM, "brand": "acme"}).status_code == 422
    assert client.get("/v1/reviews", params={"unknown": "x"}).status_code == 422


def test_a_shop_without_reviews_is_told_how_to_get_them(shared) -> None:
    page = shared.get("/reviews")
    assert page.status_code == 200
    assert "--reviews FILE" in page.text
    assert shared.get("/v1/reviews/alerts").json()["alerts"] == []
