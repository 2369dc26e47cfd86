"""The script of the storefront in Chromium, on a page of another origin: fills rows, tells of clicks once, respects a refusal."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse

from recsys.service.access.guard import needs
from recsys.service.app import application
from recsys.service.storefront.script import script
from recsys.settings.names import Scope
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import listening
from tests.recsys.service.test_access import add

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
in_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed: apt-get install chromium")
MOST_BYTES = 5_000
HOSTILE = "<img src=x onerror=document.title='owned'> & \"tea\""


def test_it_is_small() -> None:
    assert len(script()) < MOST_BYTES
    assert b"import" not in script().replace(b"important", b"")


class Shop:
    """A shop's pages on a port of their own, and what the service heard."""

    def __init__(self) -> None:
        self.html = ""
        self.asked: list[dict[str, Any]] = []
        self.told: list[dict[str, Any]] = []
        self.heads: list[dict[str, str]] = []
        site = self

        class Pages(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(site.html.encode() if self.path != "/favicon.ico" else b"")

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Pages)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def routes(self) -> APIRouter:
        """Pages of fixed rows, and a list of the actions."""
        router = APIRouter()

        @router.post("/v1/page", dependencies=[Depends(needs(Scope.READ))])
        async def page(request: Request) -> JSONResponse:
            self.asked.append(asked := await request.json())
            self.heads.append(dict(request.headers))
            items = [
                {"position": 1, "item_id": "sku/1", "title": HOSTILE, "price": 4.5, "reason": "sells well"},
                {"position": 2, "item_id": "sku-2", "title": "Pear", "price": None, "reason": "sells well"},
            ]
            named = [row["name"] for row in asked["rows"] if row["name"] != "buy_again"]
            rows = [{"name": name, "title": name.title(), "impression_id": f"i-{name}", "items": items} for name in named]
            return JSONResponse({"page_id": "p", "rows": rows})

        @router.post("/v1/actions", dependencies=[Depends(needs(Scope.WRITE))])
        async def actions(request: Request) -> JSONResponse:
            self.told += (await request.json())["actions"]
            return JSONResponse({}, 202)

        return router


@pytest.fixture(scope="module")
def place(_ready: Place, tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = Place(tmp_path_factory.mktemp("script") / "shop", _ready.settings)
    shutil.copytree(_ready.folder, place.folder)
    return place


@pytest.fixture(scope="module")
def site() -> Iterator[Shop]:
    site = Shop()
    yield site
    site.stop()


@pytest.fixture(scope="module")
def key(place: Place) -> str:
    return add(place, "public", Scope.STOREFRONT)


@pytest.fixture(scope="module")
def service(place: Place, site: Shop, key: str) -> Iterator[str]:
    assert key
    config = place.settings.serve.model_copy(update={"origins": (site.url,)})
    app: Any = application(place.workspace, place.settings.model_copy(update={"serve": config}))
    app._app.router.routes[:0] = site.routes().routes  # before the real ones: what is tested is the script
    with listening(app) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


Visit = Callable[..., Any]


@pytest.fixture
def visit(browser: Any, site: Shop, service: str, key: str) -> Iterator[Visit]:
    """Opens a page of the shop; its arguments are attributes of the script's tag."""
    contexts = []
    for heard in (site.asked, site.told, site.heads):
        heard.clear()

    def open_page(body: str = '<div data-recsys-row="for_you"></div>', before: str = "", **attributes: str) -> Any:
        given = {"data-key": key, "data-link": "/p/{item_id}"} | {
            f"data-{name.replace('_', '-')}": text for name, text in attributes.items()
        }
        tag = " ".join(f'{name}="{text}"' for name, text in given.items())
        site.html = f'<!doctype html><title>shop</title>{before}<script src="{service}/storefront.js" {tag} defer></script>{body}'
        context = browser.new_context()
        contexts.append(context)
        page = context.new_page()
        page.problems = []
        page.on("console", lambda message: page.problems.append(message.text))
        page.on("pageerror", lambda error: page.problems.append(str(error)))
        page.goto(site.url)
        return page

    yield open_page
    for context in contexts:
        context.close()


def wait_until(holds: Callable[[], Any], page: Any = None) -> None:
    until = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < until
        if page is None:
            time.sleep(0.05)
        else:
            page.wait_for_timeout(50)  # while it waits, what the page says is heard


@in_chromium
def test_a_row_is_filled_with_text_alone(visit: Visit, site: Shop) -> None:
    page = visit('<main><div data-recsys-row="for_you" data-recsys-k="2"></div><div data-recsys-row="buy_again"></div></main>')
    page.get_by_role("heading", name="For_You").wait_for()
    assert page.locator("li").all_inner_texts()[0].startswith(HOSTILE)
    assert page.title() == "shop"
    assert [link.get_attribute("href") for link in page.get_by_role("link").all()] == ["/p/sku%2F1", "/p/sku-2"]
    assert page.locator("data").get_attribute("value") == "4.5"
    assert page.locator('[data-recsys-row="buy_again"]').is_hidden()
    (asked,) = site.asked
    assert asked["rows"] == [{"name": "for_you", "k": 2}, {"name": "buy_again", "k": 6}]
    assert (asked["page"], asked.get("user")) == ("home", None)
    assert page.problems == []


@in_chromium
def test_each_page_that_is_named_is_asked_for_once(visit: Visit, site: Shop) -> None:
    product = 'data-recsys-page="product" data-recsys-item="sku-7"'
    page = visit(
        f'<div data-recsys-row="alternatives" {product}></div><div data-recsys-row="bought_together" {product}></div>'
        '<div data-recsys-row="for_you" data-recsys-page="basket" data-recsys-basket="a,b"></div>'
    )
    wait_until(lambda: page.locator("h2").count() == 3)
    asked = {one["page"]: one for one in site.asked}
    assert len(site.asked) == 2
    assert (asked["product"]["item"], len(asked["product"]["rows"])) == ("sku-7", 2)
    assert asked["basket"]["basket"] == ["a", "b"]


@in_chromium
def test_a_click_is_told_once_however_often(visit: Visit, site: Shop) -> None:
    page = visit()
    page.get_by_text("Pear").wait_for()
    page.evaluate("document.addEventListener('click', (event) => event.preventDefault())")
    for _ in range(30):
        page.get_by_text("Pear").click()
    assert page.evaluate("recsys.action('cart', 'sku-2')") is True
    assert page.evaluate("[recsys.action('cart', 'sku-2'), recsys.action('cart', 'never shown')]") == [False, False]
    wait_until(lambda: len(site.told) >= 2)
    time.sleep(0.3)
    assert [(one["action_name"], one["query_id"], one["object_id"], one["position"]) for one in site.told] == [
        ("click", "i-for_you", "sku-2", 2),
        ("cart", "i-for_you", "sku-2", 2),
    ]
    assert len({one["action_id"] for one in site.told}) == 2
    assert page.problems == []


@in_chromium
def test_a_click_that_leaves_the_page_is_told_and_the_next_page_knows_it(visit: Visit, site: Shop) -> None:
    page = visit()
    page.get_by_role("link", name="Pear").click()
    page.wait_for_url("**/p/sku-2")
    wait_until(lambda: site.told)
    assert site.told[0]["action_name"] == "click"
    page.wait_for_function("window.recsys !== undefined")
    assert page.evaluate("recsys.action('cart', 'sku-2')") is True
    page.evaluate("recsys.flush()")
    wait_until(lambda: len(site.told) == 2)
    assert site.told[1]["query_id"] == "i-for_you"


REFUSALS = {
    "doNotTrack": "<script>Object.defineProperty(navigator, 'doNotTrack', {get: () => '1'})</script>",
    "globalPrivacyControl": "<script>Object.defineProperty(navigator, 'globalPrivacyControl', {get: () => true})</script>",
    "no consent yet": "",
}


@in_chromium
@pytest.mark.parametrize("refusal", REFUSALS)
def test_a_visitor_who_refuses_is_nobody(visit: Visit, site: Shop, refusal: str) -> None:
    asks = {} if REFUSALS[refusal] else {"consent": "required"}
    page = visit(before=REFUSALS[refusal], user="user-01", **asks)
    page.get_by_text("Pear").click()
    page.evaluate("recsys.flush()")
    page.wait_for_timeout(300)
    assert (site.told, [one.keys() & {"user", "session"} for one in site.asked[:1]]) == ([], [set()])
    assert page.evaluate("sessionStorage.length") == 0


@in_chromium
def test_with_consent_it_tells(visit: Visit, site: Shop) -> None:
    page = visit(consent="required")
    page.get_by_text("Pear").wait_for()
    page.evaluate("recsys.consent(true); recsys.fill()")
    wait_until(lambda: len(site.asked) == 2)
    page.wait_for_function("sessionStorage.length === 3")
    assert site.asked[1]["session"]
    page.evaluate("recsys.action('click', 'sku-2'); recsys.consent(false); recsys.flush()")
    page.wait_for_timeout(300)
    assert site.told == [], "what waits is dropped when consent is taken back"


@in_chromium
def test_consent_counts_for_rows_that_are_filled(visit: Visit, site: Shop) -> None:
    page = visit(consent="required")
    page.get_by_text("Pear").wait_for()
    assert page.evaluate("recsys.action('click', 'sku-2')") is False
    page.evaluate("recsys.consent(true)")
    assert page.evaluate("recsys.action('click', 'sku-2')") is True
    page.evaluate("recsys.flush()")
    wait_until(lambda: site.told)
    assert (site.told[0]["query_id"], site.told[0]["object_id"]) == ("i-for_you", "sku-2")
    assert len(site.asked) == 1, "the row is not asked for again"


@in_chromium
def test_nothing_stays_in_the_browser_when_consent_is_taken_back(visit: Visit, site: Shop) -> None:
    page = visit(before="<script>sessionStorage.setItem('theirs', '1')</script>")
    page.get_by_text("Pear").wait_for()
    page.wait_for_function("sessionStorage.length === 4")
    page.evaluate("recsys.action('click', 'sku-2'); recsys.consent(false); recsys.flush()")
    assert page.evaluate("Object.keys(sessionStorage)") == ["theirs"]
    page.evaluate("recsys.fill()")
    wait_until(lambda: len(site.asked) == 2)
    page.wait_for_timeout(300)
    assert page.evaluate("Object.keys(sessionStorage)") == ["theirs"]
    assert (site.told, site.asked[1].keys() & {"user", "session"}) == ([], set())


@in_chromium
def test_consent_does_not_outweigh_do_not_track(visit: Visit, site: Shop) -> None:
    page = visit(before=REFUSALS["doNotTrack"], consent="required")
    page.get_by_text("Pear").wait_for()
    page.evaluate("recsys.consent(true)")
    assert page.evaluate("[recsys.action('click', 'sku-2'), sessionStorage.length]") == [False, 0]


@in_chromium
def test_a_shop_draws_its_rows_itself(visit: Visit) -> None:
    drawn = "addEventListener('recsys:row', (event) => { event.preventDefault(); event.target.textContent = event.detail.items.length })"
    page = visit(before=f"<script>{drawn}</script>")
    wait_until(lambda: page.locator("[data-recsys-row]").inner_text() == "2")


@in_chromium
def test_a_page_stays_as_it_is_without_an_answer(visit: Visit) -> None:
    page = visit('<div data-recsys-row="for_you">Our favourites</div>', key="rk_wrong")
    wait_until(lambda: any("recsys: the key is unknown" in text for text in page.problems), page)
    assert page.get_by_text("Our favourites").is_visible()


@in_chromium
def test_a_user_needs_the_signature_of_the_shop(visit: Visit, site: Shop, place: Place) -> None:
    import hashlib
    import hmac

    page = visit(user="user-01")
    wait_until(lambda: any("this key is public" in text for text in page.problems), page)
    assert site.asked == []
    secret = add(place, "server", Scope.READ)
    signed = hmac.new(hashlib.sha256(secret.encode()).hexdigest().encode(), b"user-01", "sha256").hexdigest()
    visit(user="user-01", user_signature=signed).get_by_text("Pear").wait_for()
    assert site.asked[0]["user"] == "user-01"
