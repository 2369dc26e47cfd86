"""The search page and the page of failed searches: what they show, and that nothing on them is more than text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import polars as pl
import pytest
from starlette.testclient import TestClient

from features.ingest.table_store import load_optional
from features.reviews.aspects import AspectList
from recsys.apps.search.answers import SearchAnswer, Suggestion
from recsys.apps.search.pipeline import Search
from recsys.apps.search.request import SearchOptions
from recsys.service.pages.form import SearchForm, price_range
from recsys.service.pages.reports import read_searches, read_topics
from tests.recsys.conftest import FOUND, Place
from tests.recsys.service.conftest import Serve, inside
from tests.recsys.service.pages import HOSTILE, Seen, seen

Asked = list[tuple[SearchOptions, str, str | None]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Puts a fixed answer in the place of the search's, and remembers what it was asked."""
    calls: Asked = []

    def answer(_search: Search, options: SearchOptions, queries: Any, _recent: Any = None) -> list[SearchAnswer]:
        calls.extend((options, text, user) for text, user in queries)
        return [replace(FOUND, query=text, user_id=user) for text, user in queries]

    monkeypatch.setattr(Search, "answer", answer)
    return calls


def form_of(**fields: str | list[str]) -> SearchForm:
    return SearchForm.model_validate({name: [value] if isinstance(value, str) else value for name, value in fields.items()})


def test_the_page_shows_how_the_query_was_read(shared: TestClient, asked: Asked) -> None:
    page = shared.post("/search", data={"words": "gren tea under 3 dollars", "user": "user-05", "category": "tea", "min_price": "1.5"})
    words = seen(page)
    assert asked == [(SearchOptions(k=20, category="tea", min_price=1.5, explain=True), "gren tea under 3 dollars", "user-05")]
    for said in (
        "Results for “green tea” for user-05",
        "Typed: gren tea under 3 dollars. Search for exactly that",
        "Did you mean green teas ?",
        "no item has these words: nearest in meaning",
        "category tea ×",
        "from 1.50 ×",
        "up to 3 × read from “under 3 dollars”",
        "brand x y: dropped, nothing that fits meets it",
        "Category: tea 12",
        "Price: 1-2 9",
        "Praised for: quality 3",
        "1 Green tea 1.95 25.0% probability sku-7 matches: green tea",
        "bm25 +1.50",
    ):
        assert said in words, said
    for field in (
        'name="verbatim" value="true"',
        'name="words" value="green teas"',
        'name="drop" value="category"',
        'name="drop" value="min_price"',
        'name="ignore" value="max_price:3"',
        'name="category" value="tea"',
        'name="price" value="1-2"',
        'name="praised" value="quality"',
        'name="asked" value="gren tea under 3 dollars"',
    ):
        assert field in page.text, field
    assert 'name="ignore" value="brand:x y"' not in page.text


def test_what_was_removed_stays_removed_until_other_words_are_asked(shared: TestClient, asked: Asked) -> None:
    form = {"words": "tea under 3 dollars", "asked": "tea under 3 dollars", "ignore": ["max_price:3"], "verbatim": "true"}
    page = shared.post("/search", data=form)
    assert asked[-1][0] == SearchOptions(k=20, ignore=("max_price:3",), verbatim=True, explain=True)
    assert '<input type="hidden" name="ignore" value="max_price:3">' in page.text
    assert "Read filters from the words again" in seen(page)
    assert "Mend the spelling" in seen(page)
    shared.post("/search", data=form | {"drop": ["ignore"]})
    assert asked[-1][0] == SearchOptions(k=20, verbatim=True, explain=True)
    shared.post("/search", data=form | {"words": "coffee under 3 dollars"})
    assert asked[-1] == (SearchOptions(k=20, explain=True), "coffee under 3 dollars", None)


def test_buttons_stand_for_fields() -> None:
    assert form_of(words="tea", category=["old", "drinks|tea"]).category == "drinks|tea"
    assert form_of(words="tea", category="tea", brand="acme", drop=["brand"]).brand is None
    assert (form_of(price="2-5.5").min_price, form_of(price="2-5.5").max_price) == (2, 5.5)
    assert (form_of(price="100-", max_price="3").min_price, form_of(price="100-", max_price="3").max_price) == (100, None)
    assert form_of(price="-5").max_price == 5
    assert form_of(price="cheap", max_price="3").max_price == 3
    assert form_of(words="tea", praised="quality").options.praised == "quality"
    chosen = form_of(category="tea", brand="acme", praised="quality", min_price="1", max_price="2.5", in_stock="true").chosen
    assert [words for _, words in chosen] == ["category tea", "brand acme", "praised for quality", "from 1.00", "up to 2.50", "in stock"]
    assert form_of(**{name: "1" for name, _ in chosen}, drop=[name for name, _ in chosen]).chosen == []
    assert price_range("2-5-9") == price_range("x") == price_range("-") == ("", "")


def test_mistakes_get_one_line(shared: TestClient) -> None:
    assert "Nothing was searched for yet." in seen(shared.get("/search"))
    assert "Nothing was searched for yet." in seen(shared.post("/search", data={"words": "  "}))
    for form, said in (
        ({"words": "tea", "max_price": "cheap"}, "highest price is 'cheap', should be a valid number"),
        ({"words": "tea", "min_price": "9", "max_price": "1"}, "min_price"),
        ({"words": "x" * 10_000}, "search is 'xxx"),
        ({"words": "tea", "category": "bakry"}, "did you mean 'bakery'?"),
        ({"words": "tea", "brand": "nobrand"}, "nobrand"),
        ({"words": "tea", "praised": "quality"}, "no reviews"),
        ({"words": "tea", "nonsense": "1"}, "unknown key 'nonsense'"),
    ):
        words = seen(shared.post("/search", data=form), 422)
        assert said in words
        assert "Results for" not in words


@pytest.mark.parametrize("text", ["🍓", "title:(", "*", "AND", "'; DROP TABLE items; --", "\x00\x01", HOSTILE, "{{ 7 * 7 }}"])
def test_any_words_have_a_page(shared: TestClient, text: str) -> None:
    page = shared.post("/search", data={"words": text, "user": "nobody"})
    assert page.status_code == 200
    assert "“49”" not in seen(page)
    assert page.text.count("<script") == 1


def test_one_script_of_ours_and_nothing_else_runs(hostile: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    form = {"words": HOSTILE, "user": HOSTILE, "category": HOSTILE, "ignore": [HOSTILE]}
    pages = [hostile.get("/search"), hostile.post("/search", data=form), hostile.post("/search", data={"words": "tea"})]
    bad = tuple(replace(hit, title=HOSTILE, reason=HOSTILE, item_id=HOSTILE) for hit in FOUND.items)
    filters = tuple(replace(one, key=HOSTILE, label=HOSTILE, words=HOSTILE) for one in FOUND.filters)
    facets = tuple(replace(facet, values=((HOSTILE, 3),)) for facet in FOUND.facets)
    answer = replace(FOUND, items=bad, filters=filters, facets=facets, did_you_mean=HOSTILE, read_as=HOSTILE, fallback=HOSTILE)
    monkeypatch.setattr(Search, "answer", lambda *_: [answer])
    pages.append(hostile.post("/search", data={"words": HOSTILE}))
    for response in pages:
        policy = response.headers["content-security-policy"]
        assert {"default-src 'none'", "script-src 'self'", "connect-src 'self'"} <= set(policy.split("; "))
        assert "unsafe" not in policy
        assert response.headers["cache-control"] == "no-store"
        assert response.text.count("<script") == response.text.count('<script src="/suggest.js" defer></script>') == 1
        page = Seen(response.text)
        assert not page.elements & {"img", "iframe", "object", "embed", "style", "x"}
        assert not {name for name in page.attributes if name.startswith("on") or name == "style"}
        assert all(address.startswith(("/", "#")) and not address.startswith("//") for address in page.addresses), page.addresses
        assert "\u202e" not in page.text
    assert "<x onclick=alert(4)>" in Seen(pages[-1].text).text
    assert "script" not in hostile.get("/").headers["content-security-policy"]


def test_suggestions_for_the_script(shared: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Search, "suggest", lambda _search, prefix, n=8: [Suggestion(f"{prefix}{HOSTILE}", "brand")] * (len(prefix) < 201))
    assert shared.post("/search/suggest", data={"prefix": "gre"}).json() == [{"text": f"gre{HOSTILE}", "kind": "brand", "item_id": None}]
    assert len(shared.post("/search/suggest", data={"prefix": "x" * 900}).json()) == 1  # the rest is not looked at
    assert shared.post("/search/suggest").json()
    script = shared.get("/suggest.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "innerHTML" not in script.text


def test_before_there_is_a_search_log(shared: TestClient) -> None:
    assert "There is no search log" in seen(shared.get("/searches"))


def with_search_log(place: Place, rows: list[tuple[str, str, str | None, str, str | None]]) -> None:
    schema = {"timestamp": pl.String, "query": pl.String, "item_id": pl.String, "event": pl.String, "user_id": pl.String}
    path = place.folder / "queries.csv"
    pl.DataFrame(rows, schema, orient="row").write_csv(path)
    place.shop.ingest(items=place.items, interactions=place.log, queries=path)


def test_the_queries_that_failed_most_often(spare: Place, serve: Serve) -> None:
    shown = ("shown", "user-01")
    rows = [
        ("2024-07-01T10:00:00", "ot milk", None, *shown),
        ("2024-07-01T10:01:00", "oat milk <b>", "sku-07", *shown),
        ("2024-07-01T10:01:30", "oat milk <b>", "sku-07", "purchase", "user-01"),
        ("2024-07-01T12:00:00", "tea", "sku-01", *shown),
    ]
    with_search_log(spare, rows)
    assert load_optional(spare.workspace.data, "queries") is not None
    client = serve(spare)
    words = seen(client.get("/searches"))
    for said in (
        "3 searches with 3 different queries",
        "Without results 1, 33.3%",
        "Without a click, cart or purchase 2, 66.7%",
        "Put in other words within two minutes 1, 33.3%",
        "ot milk 1 100.0% 1 1 oat milk",
        "2 searches failed in one of these ways. Shown are 2, of the 2 queries that failed most often",
        "By category Topic Failed Without results In other words Known customers Such as",
    ):
        assert said in words, said
    first = read_searches(spare.workspace)
    assert read_searches(spare.workspace) is first  # counted once
    live = inside(client).bundles.live
    topics = read_topics(spare.workspace, live.search, AspectList.packaged())
    assert {query for row in topics.topics["categories"]["examples"] for query in row} == {"ot milk", "tea"}
    assert read_topics(spare.workspace, live.search, AspectList.packaged()) is topics  # sorted once
    with_search_log(spare, [*rows[:3], ("2024-07-01T13:00:00", "quiet <b>", "sku-01", *shown)])
    words = seen(client.get("/searches"))
    assert "3 searches with 3 different queries" in words
    assert "By aspect" in words
    assert "quiet <b>" in words
