"""The pages in Chromium: by keyboard, without scripts, in narrow and wide windows; axe-core finds no fault."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from recsys.apps.search.answers import SearchAnswer, Suggestion
from recsys.apps.search.pipeline import Search
from recsys.apps.search.request import SearchOptions
from recsys.apps.storefront.experiments.listing import read_out_named
from recsys.service.app import application
from tests.recsys.conftest import FOUND, Place
from tests.recsys.service.conftest import listening
from tests.recsys.service.pages import ask_questions, rules_with_prices, running_experiment, write_reports

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed: apt-get install chromium")
WINDOWS = {"narrow": (390, 844), "wide": (1280, 900)}
PATHS = (
    "/",
    "/search",
    "/searches",
    "/assistant",
    "/assistant/questions",
    "/customers",
    "/experiments",
    "/storefront",
    "/rules",
    "/customers?segment=loyal",
    "/map",
    "/map?group=1",
    "/items/sku-07",
    "/evaluation",
    "/data",
    "/refreshes",
    "/simulations",
    "/simulations/simulation-popular-x",
    "/login",
)


@pytest.fixture(scope="module")
def url(_ready: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The service on a socket, over a copy of the shop with reports."""
    place = Place(tmp_path_factory.mktemp("browser") / "shop", _ready.settings)
    shutil.copytree(_ready.folder, place.folder)
    write_reports(place)
    ask_questions(place)
    rules_with_prices(place)
    running_experiment(place)
    read_out_named(place.workspace, "diverse", int(time.time()))
    with listening(application(place.workspace, place.settings)) as address:
        yield address


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=WINDOWS)
def page(chromium: Any, url: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """A window without scripts, that asks no other server and complains of nothing."""
    width, height = WINDOWS[request.param]
    context = chromium.new_context(base_url=url, viewport={"width": width, "height": height}, java_script_enabled=False)
    window = context.new_page()
    addresses: list[str] = []
    said: list[str] = []
    window.on("request", lambda request: addresses.append(request.url))
    window.on("console", lambda message: said.append(message.text))
    yield window
    context.close()
    assert addresses
    assert all(address.startswith(url) for address in addresses), addresses
    assert not [text for text in said if "Content Security Policy" in text]


def submit(page: Any, act: Any) -> None:
    with page.expect_navigation():
        act()


def test_by_keyboard_from_a_customer_to_a_basket(page: Any) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to the content"
    page.get_by_label("Customer").focus()
    page.keyboard.type("user-05")
    submit(page, lambda: page.keyboard.press("Enter"))
    assert page.get_by_role("heading", name="For user-05").is_visible()
    assert page.get_by_role("heading", name="History of user-05").is_visible()
    results = page.get_by_role("region", name="Results").bounding_box()
    assert 0 <= results["y"] < 400  # the window stands where the answer begins
    first = page.locator(".card").first
    assert "probability" in first.inner_text()
    assert not first.get_by_text("After retrieval").is_visible()
    first.locator("summary").focus()
    page.keyboard.press("Enter")
    assert first.get_by_text("After retrieval").is_visible()
    title = first.get_by_role("link").inner_text()
    first.get_by_role("button", name="Add to basket").focus()
    submit(page, lambda: page.keyboard.press("Enter"))
    assert page.get_by_role("checkbox", name=title, exact=True).first.is_checked()
    assert page.get_by_label("Customer").input_value() == "user-05"
    page.get_by_role("checkbox", name=title, exact=True).first.uncheck()
    submit(page, page.get_by_role("button", name="Show", exact=True).last.click)
    assert page.get_by_role("checkbox", name=title, exact=True).count() == 0


def test_the_dial_and_the_rules_stay_as_they_were_set(page: Any) -> None:
    page.goto("/")
    page.get_by_label("Diversity").focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.get_by_label("only items they have not bought").check()
    page.get_by_label("Category").fill("bakery")
    submit(page, page.get_by_role("button", name="Show", exact=True).first.click)
    assert page.get_by_label("Diversity, now 0.3").input_value() == "0.3"
    assert page.get_by_label("only items they have not bought").is_checked()
    assert page.get_by_label("Category").input_value() == "bakery"
    assert "diversity 0.3" in page.get_by_role("region", name="Results").inner_text()


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Puts an answer with everything a search may say in the place of the search's, without the filters that were removed."""

    def answer(_search: Search, options: SearchOptions, queries: Any, _recent: Any = None) -> list[SearchAnswer]:
        read = tuple(one for one in FOUND.filters if one.key not in options.ignore)
        mended = () if options.verbatim else FOUND.corrections
        return [replace(FOUND, query=queries[0][0], user_id=queries[0][1], filters=read, corrections=mended)]

    monkeypatch.setattr(Search, "answer", answer)
    monkeypatch.setattr(
        Search, "suggest", lambda _search, prefix, n=8: [Suggestion(f"{prefix} {more}", "category") for more in ("tea", "pear")]
    )


@pytest.mark.usefixtures("found")
def test_a_search_by_keyboard_and_its_filters(page: Any) -> None:
    page.goto("/search")
    page.get_by_label("Customer").fill("user-05")
    page.get_by_label("Search for").focus()
    page.keyboard.type("gren tea under 3 dollars")
    submit(page, lambda: page.keyboard.press("Enter"))
    assert page.get_by_role("heading", name="Results for “green tea” for user-05").is_visible()
    assert 0 <= page.get_by_role("region", name="Results").bounding_box()["y"] < 400
    submit(page, page.get_by_role("button", name="Remove the filter: up to 3").click)
    assert page.get_by_role("button", name="Remove the filter: up to 3").count() == 0
    assert page.get_by_label("Customer").input_value() == "user-05"
    submit(page, page.get_by_role("button", name="1-2").click)
    assert page.get_by_label("Minimum price").input_value() == "1"
    assert page.get_by_label("Maximum price").input_value() == "2"
    submit(page, page.get_by_role("button", name="Remove the filter: from 1.00").click)
    assert page.get_by_label("Minimum price").input_value() == ""
    submit(page, page.get_by_role("button", name="Search for exactly that").click)
    assert page.get_by_role("button", name="Search for exactly that").count() == 0
    submit(page, page.get_by_role("button", name="green teas").click)
    assert page.get_by_label("Search for").input_value() == "green teas"
    # With other words, what was removed from the old ones is read again.
    assert page.get_by_role("button", name="Remove the filter: up to 3").is_visible()
    assert page.get_by_role("button", name="Search for exactly that").is_visible()


@pytest.mark.usefixtures("found")
def test_suggestions_come_while_typing(chromium: Any, url: str) -> None:
    context = chromium.new_context(base_url=url)
    window = context.new_page()
    said: list[str] = []
    window.on("console", lambda message: said.append(message.text))
    window.on("pageerror", lambda error: said.append(str(error)))
    window.goto("/search")
    assert window.locator("#suggestions option").count() == 0
    window.get_by_label("Search for").press_sequentially("gre")
    window.wait_for_selector('#suggestions option[value="gre pear"]', state="attached")
    assert window.locator("#suggestions option").count() == 2
    submit(window, lambda: window.keyboard.press("Enter"))
    assert window.get_by_label("Search for").input_value() == "gre"
    assert said == []
    context.close()


def test_from_the_map_to_an_item_and_its_list(page: Any) -> None:
    page.goto("/map")
    point = page.locator(".map a").first
    title = point.locator("title").text_content()
    submit(page, lambda: point.click(force=True))
    assert page.get_by_role("heading", level=1).inner_text() == title
    submit(page, page.get_by_role("button", name="Recommend for a basket with this item").click)
    assert page.get_by_role("heading", name="For this basket").is_visible()


def test_a_page_of_the_storefront_by_keyboard(page: Any) -> None:
    page.goto("/storefront")
    page.get_by_label("Kind of page").select_option("basket")
    page.get_by_label("Customer").focus()
    page.keyboard.type("user-05")
    submit(page, lambda: page.keyboard.press("Enter"))
    assert page.get_by_role("heading", name="Basket page of user-05").is_visible()
    assert 0 <= page.get_by_role("region", name="Results").bounding_box()["y"] < 400
    add = page.locator(".card").first.get_by_role("button", name="Add to basket")
    item = add.get_attribute("value")
    add.focus()
    submit(page, lambda: page.keyboard.press("Enter"))
    assert page.get_by_role("textbox", name="Basket").input_value() == item
    assert page.get_by_label("Kind of page").input_value() == "basket"
    assert page.get_by_label("Customer").input_value() == "user-05"
    page.locator(".card").first.get_by_role("link").focus()
    submit(page, lambda: page.keyboard.press("Enter"))
    assert page.get_by_role("button", name="Recommend for a basket with this item").is_visible()


def test_navigation_by_keyboard(page: Any) -> None:
    page.goto("/storefront")
    menu, link = page.get_by_text("Pages", exact=True), page.get_by_role("link", name="Rules", exact=True)
    narrow = page.viewport_size["width"] < 800
    assert page.locator("header").bounding_box()["height"] < 110
    assert menu.is_visible() == narrow
    if narrow:
        assert link.count() == 0
        menu.focus()
        page.keyboard.press("Enter")
    assert page.get_by_role("link", name="Storefront", exact=True).get_attribute("aria-current") == "page"
    link.focus()
    submit(page, lambda: page.keyboard.press("Enter"))
    assert page.get_by_role("heading", name="Rules", level=1).is_visible()
    assert page.get_by_role("heading", name="sku-33 first").is_visible()


def test_the_words_of_a_table_stay_whole(page: Any) -> None:
    page.goto("/experiments")
    assert "b is better than a" in page.locator("main").inner_text()
    for cell in ("Arm", "Share", "Revenue"):
        box = page.get_by_role("columnheader", name=cell, exact=True).bounding_box()
        assert box["height"] < 70, cell  # two lines, for the names of other columns
        assert box["width"] > 40, cell
    scrolled = page.get_by_role("region", name="Arms").evaluate("one => [one.scrollWidth > one.clientWidth, one.tabIndex]")
    assert scrolled == [page.viewport_size["width"] < 800, 0]


def test_every_link_leads_to_a_page_without_an_error(chromium: Any, url: str) -> None:
    context = chromium.new_context(base_url=url)
    window = context.new_page()
    said: list[str] = []
    window.on("console", lambda message: said.append(f"{window.url}: {message.text}"))
    window.on("pageerror", lambda error: said.append(f"{window.url}: {error}"))
    waiting, seen = [f"{url}/"], {f"{url}/"}
    while waiting:
        address = waiting.pop()
        answer = window.goto(address)
        assert answer.status < 400, address
        found = window.eval_on_selector_all("a[href]", "all => all.map(one => new URL(one.getAttribute('href'), location).href)")
        links = {link.partition("#")[0] for link in found}
        new = {link for link in links if link.startswith(url)} - seen
        seen |= new
        waiting += sorted(new)
    context.close()
    visited = {address.removeprefix(url) for address in seen}
    assert {path for path in PATHS if "?" not in path and path != "/login"} <= visited
    assert {"/items/sku-07", "/map?group=1", "/customers?segment=loyal", "/evaluation/report"} <= visited
    # The reports with plots hold a script here, which their page must not run.
    assert [line for line in said if "/report: " not in line] == []


def test_no_page_is_wider_than_the_window(page: Any) -> None:
    for path in PATHS:
        page.goto(path)
        body = page.locator("body").bounding_box()
        main = page.locator("main").bounding_box()
        assert main["x"] + main["width"] <= body["width"] == page.viewport_size["width"], path
        for part in page.locator("main > *, .card, .lists > section").all():
            box = part.bounding_box()
            assert box is None or box["x"] + box["width"] <= body["width"], path


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(chromium: Any, url: str, scheme: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from axe_playwright_python.sync_playwright import Axe

    context = chromium.new_context(base_url=url, color_scheme=scheme, viewport={"width": 1280, "height": 900})
    window = context.new_page()

    def problems() -> list[str]:
        result = Axe().run(window).response
        assert len(result["passes"]) > 10
        return [f"{window.url}: {one['id']}: {one['nodes'][0]['html'][:200]}" for one in result["violations"]]

    for path in (*PATHS, "/login", "/items/nothing"):
        window.goto(path)
        assert problems() == []
    window.goto("/")
    window.get_by_label("Customer").fill("user-05")
    window.get_by_label("Search for items").fill("tea")
    submit(window, lambda: window.keyboard.press("Enter"))
    for details in window.locator("main summary").all():
        details.click()
    assert problems() == []
    window.goto("/storefront")
    window.get_by_label("Customer").fill("user-05")
    submit(window, lambda: window.keyboard.press("Enter"))
    assert problems() == []
    window.set_viewport_size({"width": 390, "height": 844})
    window.get_by_text("Pages", exact=True).click()
    assert problems() == []
    window.set_viewport_size({"width": 1280, "height": 900})
    monkeypatch.setattr(Search, "answer", lambda *_: [FOUND])
    window.goto("/search")
    window.get_by_label("Search for").fill("gren tea")
    submit(window, lambda: window.keyboard.press("Enter"))
    assert problems() == []
    context.close()
