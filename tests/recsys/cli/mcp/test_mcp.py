"""The MCP server through the SDK's own client: the four tools answer as the command line does, and say what is wrong."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
from mcp.client.client import Client
from mcp.client.stdio import StdioServerParameters, stdio_client

from recsys.cli.mcp.server import server
from recsys.recommend.request import RecommendOptions
from recsys.refresh import build
from recsys.workspace.item_changes import ItemChange
from tests.recsys.conftest import Place

T = TypeVar("T")
ROOT = Path(__file__).parents[4]


def told(place: Place, ask: Callable[[Client], Awaitable[T]]) -> T:
    async def main() -> T:
        async with Client(server(place.workspace, place.settings)) as client:
            return await ask(client)

    return asyncio.run(main())


def call(place: Place, tool: str, **arguments: Any) -> Any:
    return told(place, lambda client: client.call_tool(tool, arguments))


def answer(place: Place, tool: str, **arguments: Any) -> Any:
    result = call(place, tool, **arguments)
    assert not result.is_error, result.content
    return result.structured_content


def test_the_tools_are_named_and_described(ready: Place) -> None:
    tools = {tool.name: tool for tool in told(ready, lambda client: client.list_tools()).tools}
    assert list(tools) == ["search", "recommend", "similar", "explain"]
    for tool in tools.values():
        assert tool.description
        assert tool.annotations is not None
        assert tool.annotations.read_only_hint
    assert "customer" in tools["recommend"].input_schema["properties"]["user"]["description"]


def test_they_answer_as_the_shop_does(ready: Place) -> None:
    assert answer(ready, "recommend", user="user-03", k=4) == ready.answer("user-03", k=4).to_dict()
    assert (
        answer(ready, "recommend", basket=["sku-07"], k=3, in_stock=True) == ready.answer(history=("sku-07",), k=3, in_stock=True).to_dict()
    )
    assert answer(ready, "similar", item="sku-07", k=3) == ready.shop.recommender.similar("sku-07", 3).to_dict()
    found = answer(ready, "search", text="tea", k=3)
    assert 0 < len(found["items"]) <= 3
    assert found["query"] == "tea"


def test_an_item_is_explained_to_a_customer(ready: Place) -> None:
    best = ready.answer("user-03", k=1, explain=True).items[0]
    (item,) = answer(ready, "explain", item=best.item_id, user="user-03")["items"]
    assert item["probability"] == pytest.approx(best.probability)
    assert item["contributions"]
    last = ready.answer("user-03", k=100).items[-1].item_id
    assert [one["item_id"] for one in answer(ready, "explain", item=last, user="user-03")["items"]] == [last]
    assert answer(ready, "explain", item="sku-07")["fallback"]


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("similar", {"item": "sku-99"}, "item 'sku-99' is not in the catalogue"),
        ("search", {"text": " "}, "the text is empty"),
        ("recommend", {"category": "boats"}, "no item is in category 'boats'"),
        ("recommend", {"k": 1_000}, "k"),
        ("recommend", {"max_price": -1}, "max_price"),
        ("explain", {"item": "sku-99"}, "item 'sku-99' is not in the catalogue"),
    ],
)
def test_what_is_wrong_is_said(ready: Place, tool: str, arguments: dict[str, Any], said: str) -> None:
    result = call(ready, tool, **arguments)
    assert result.is_error
    assert said in result.content[0].text
    assert "Traceback" not in result.content[0].text


def test_without_a_bundle_it_says_what_to_do(tmp_path: Path, tiny_settings: Any) -> None:
    result = call(Place(tmp_path, tiny_settings), "similar", item="sku-07")
    assert result.is_error
    assert "recsys build-index" in result.content[0].text


def test_a_new_price_and_a_new_bundle_need_no_restart(spare: Place) -> None:
    async def ask(client: Client) -> list[Any]:
        seen = []
        for change in (
            lambda: None,
            lambda: spare.workspace.item_changes.add([ItemChange.at("sku-07", 4e9, price=0.07)]),
            lambda: (spare.items.write_text(spare.items.read_text().replace("drinks", "beverages")), spare.ingest()),
            lambda: build.build_index(spare.workspace, spare.settings),
        ):
            change()
            told = (await client.call_tool("explain", {"item": "sku-07"})).structured_content
            assert told is not None
            seen.append((told["bundle_id"], told["items"][0]["price"]))
        return seen

    first, priced, ingested, rebuilt = told(spare, ask)
    assert priced == ingested == (first[0], 0.07)
    assert rebuilt[0] != first[0]
    assert rebuilt[1] == 0.07


def test_changed_rules_need_no_restart(spare: Place) -> None:
    async def ask(client: Client) -> list[Any]:
        seen = []
        for text in ("", '[[pin]]\nname = "now"\nitem = "sku-33"\nposition = 1\n', "[[pim]]", ""):
            spare.workspace.merchandising.write_text(text, encoding="utf-8")
            told = (await client.call_tool("recommend", {"user": "user-03", "k": 3})).structured_content
            assert told is not None
            seen.append((told["items"][0]["item_id"], told["items"][0].get("rule")))
        return seen

    before, pinned, wrong, after = told(spare, ask)
    assert pinned == wrong == ("sku-33", "now")
    assert before == after != pinned


def test_the_command_speaks_on_stdin_and_stdout(ready: Place) -> None:
    code = "import sys; from recsys.cli.main import run; sys.exit(run(sys.argv[1:]))"
    words = ["-c", code, "--workspace", str(ready.workspace.root), "mcp"]
    spawned = StdioServerParameters(command=sys.executable, args=words, cwd=str(ROOT))

    async def main() -> Any:
        async with Client(stdio_client(spawned)) as client:
            return (await client.call_tool("recommend", {"user": "user-03", "k": 2})).structured_content

    answered = asyncio.run(main())
    assert answered == next(iter(ready.shop.answers(RecommendOptions(k=2), ["user-03"]))).to_dict()
