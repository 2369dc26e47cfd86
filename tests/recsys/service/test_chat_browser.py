"""The chat in Chromium, with its script and without: by keyboard, narrow and wide, and axe-core finds no fault."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest

from recsys.service.app import application
from tests.recsys.conftest import Place
from tests.recsys.service.conftest import listening
from tests.recsys.service.pages import ask_questions
from tests.recsys.service.test_pages_browser import CHROMIUM, WINDOWS, chromium, submit

__all__ = ["chromium"]  # a fixture
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed: apt-get install chromium"),
    pytest.mark.usefixtures("no_flows"),
]


@pytest.fixture(scope="module")
def url(_ready: Place, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    place = Place(tmp_path_factory.mktemp("chat-browser") / "shop", _ready.settings)
    shutil.copytree(_ready.folder, place.folder)
    ask_questions(place)
    with listening(application(place.workspace, place.settings)) as address:
        yield address


@pytest.fixture(params=WINDOWS)
def size(request: pytest.FixtureRequest) -> dict[str, int]:
    width, height = WINDOWS[request.param]
    return {"width": width, "height": height}


def problems(window: Any) -> list[str]:
    from axe_playwright_python.sync_playwright import Axe

    result = Axe().run(window).response
    assert len(result["passes"]) > 10
    return [f"{window.url}: {one['id']}: {one['nodes'][0]['html'][:200]}" for one in result["violations"]]


def fits(window: Any) -> bool:
    return window.evaluate("document.documentElement.scrollWidth") <= window.viewport_size["width"]


def test_a_conversation_with_the_script(chromium: Any, url: str, size: Any) -> None:
    context = chromium.new_context(base_url=url, viewport=size)
    window, said, loaded = context.new_page(), [], []
    window.on("console", lambda message: said.append(message.text))
    window.goto("/assistant")
    window.on("framenavigated", lambda frame: loaded.append(frame.url))
    field = window.get_by_role("textbox", name="Message")
    field.focus()
    for place, text in enumerate(("herbal infusion", "<img src=x onerror=alert(1)>", "I want a human")):
        window.keyboard.type(text)
        window.keyboard.press("Enter")
        turn = window.locator(".turn").nth(place)
        turn.locator(".reply").wait_for()
        assert text in turn.locator(".asked").inner_text()
        window.locator("#log:not([aria-busy])").wait_for(state="attached")
        assert field.input_value() == ""
        assert field.evaluate("field => field === document.activeElement")
    assert window.get_by_role("log").get_attribute("aria-live") == "polite"
    first, last = window.locator(".turn").first, window.locator(".turn").last
    assert last.locator(".handed").count() == 1
    assert first.locator(".handed").count() == 0
    assert last.bounding_box()["y"] < window.get_by_role("region", name="Conversation").bounding_box()["y"] + size["height"]
    first.locator("summary").first.focus()
    window.keyboard.press("Enter")
    assert first.get_by_text("Catalogue").first.is_visible()
    thumb = first.get_by_role("button", name="Helpful: answer 1", exact=True)
    thumb.focus()
    window.keyboard.press("Enter")
    first.locator("[aria-pressed=true]").wait_for()
    assert window.locator("#problem").is_hidden()
    assert loaded == []
    assert fits(window)
    assert problems(window) == []
    assert not said
    conversation = window.locator("#say input[name=conversation]").input_value()
    assert context.request.post("/v1/assistant/hand-back", data={"conversation": conversation}).ok
    field.fill("herbal infusion")
    window.keyboard.press("Enter")
    window.locator(".turn").nth(4).locator(".reply").wait_for()
    assert window.locator(".turn").nth(3).inner_text().startswith("Assistant")
    assert "given this conversation back" in window.locator(".turn").nth(3).inner_text()
    assert window.locator(".turn").count() == 5
    first.get_by_role("link").first.click()
    window.wait_for_url("**/items/sku-*")
    context.close()


def test_what_could_not_be_sent_stands_in_the_field(chromium: Any, url: str) -> None:
    context = chromium.new_context(base_url=url)
    window = context.new_page()
    window.goto("/assistant")
    window.route("**/assistant", lambda route: route.abort())
    window.get_by_role("textbox", name="Message").fill("herbal infusion")
    window.keyboard.press("Enter")
    window.get_by_role("alert").wait_for()
    assert "could not be sent" in window.get_by_role("alert").inner_text()
    assert window.get_by_role("textbox", name="Message").input_value() == "herbal infusion"
    assert window.locator(".turn").count() == 0
    window.unroute("**/assistant")
    window.get_by_role("textbox", name="Customer").fill("user-01")
    window.get_by_role("textbox", name="Message").press("Enter")
    window.locator(".turn .reply").wait_for()
    assert window.get_by_role("alert").count() == 0
    window.get_by_role("textbox", name="Customer").fill("user-02")
    window.get_by_role("textbox", name="Message").fill("hello")
    window.keyboard.press("Enter")
    window.get_by_text("hello").wait_for()
    window.locator("#log:not([aria-busy])").wait_for(state="attached")
    window.locator(".turn .reply").wait_for()
    assert window.locator(".turn").count() == 1  # of the new conversation
    context.close()


def test_a_conversation_and_an_added_answer_without_scripts(chromium: Any, url: str, size: Any) -> None:
    context = chromium.new_context(base_url=url, viewport=size, java_script_enabled=False)
    window = context.new_page()
    window.goto("/assistant")
    for text in ("herbal infusion", "do you wrap gifts?"):
        window.get_by_role("textbox", name="Message").focus()
        window.keyboard.type(text)
        submit(window, lambda: window.keyboard.press("Enter"))
    assert window.locator(".turn").count() == 2
    submit(window, window.get_by_role("button", name="Helpful: answer 2", exact=True).click)
    assert window.locator("[aria-pressed=true]").count() == 1
    window.goto("/assistant/questions")
    form = window.get_by_role("form", name="Add an answer").last
    form.get_by_label("Question").fill(f"do you wrap gifts in {size['width']} papers?")
    form.get_by_label("Answer").fill("Yes, for free.")
    submit(window, form.get_by_role("button", name="Add the answer").click)
    assert "is live" in window.get_by_role("status").inner_text()
    submit(window, window.get_by_role("status").get_by_role("button", name="Try it").click)
    assert "Yes, for free." in window.locator(".reply").last.inner_text()
    context.close()
