"""A small Chinese shop from its csv files to the page, with headers, values and an encoding of its own."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl
import pytest
from starlette.testclient import TestClient

from benchmarks.languages import goods, in_one_language
from features.text.encoder import PACKAGED_MODEL
from recsys.cli.main import run
from recsys.service.app import application
from recsys.settings.settings import load_settings
from recsys.workspace.workspace import Workspace
from tests.benchmarks.encoders import multilingual

if TYPE_CHECKING:
    from collections.abc import Callable

WORDS = "洗发水"
SHAMPOO, CONDITIONER = "g001", "g002"
CONFIG = """
[source]
items_columns = {item_id = "商品编号", title = "名称", category = "类目", description = "描述", price = "价格", available = "库存状态"}
interactions_columns = {user_id = "会员号", item_id = "商品编号", timestamp = "下单时间", event = "行为", quantity = "数量"}
events = {"购买" = "purchase", "浏览" = "view", "加购" = "cart"}
availability = {"有货" = true, "缺货" = false}
currency = "CNY"

[assistant.intents]
layers = 1
epochs = 1
copies = 0
"""


def write(folder: Path, encoding: str) -> None:
    """Write the catalogue and a log in which neighbours in the catalogue are bought by the same members."""
    items = in_one_language("zh")
    rows = items.select(
        pl.col("item_id").alias("商品编号"),
        pl.col("title").alias("名称"),
        pl.col("category").alias("类目"),
        pl.col("description").alias("描述"),
        pl.Series("价格", [f"￥{5 + place % 40}.50" for place in range(len(items))]),
        pl.Series("库存状态", ["缺货" if place % 13 == 12 else "有货" for place in range(len(items))]),
    )
    bought = []
    for member in range(60):
        for step in range(8):
            item = items["item_id"][(member * 3 + step * (1 if step % 2 else 2)) % len(items)]
            time = datetime(2026, 1, 3, 10, 20) + timedelta(days=member % 20 + step * 5, minutes=member)
            about = {"会员号": f"会员{member:03}", "商品编号": item, "下单时间": f"{time:%Y/%m/%d %H:%M}"}
            bought += [about | {"行为": "浏览", "数量": None}, about | {"行为": "购买", "数量": 1 + step % 2}]
    for name, table in {"商品.csv": rows, "订单.csv": pl.DataFrame(bought)}.items():
        (folder / name).write_bytes(table.write_csv().encode(encoding))


@dataclass(frozen=True)
class ChineseShop:
    """The shop's folder, and its command line with what it wrote."""

    folder: Path
    capture: pytest.CaptureFixture[str]

    def run(self, *arguments: str) -> tuple[str, str]:
        """Return stdout and stderr of a command that ends well."""
        paths = ["--workspace", str(self.folder / "workspace"), "--config", str(self.folder / "recsys.toml")]
        code = run([*paths, *arguments])
        out, err = self.capture.readouterr()
        assert not code, err
        return out, err

    def json(self, *arguments: str) -> Any:
        """Return the answer of a command as JSON."""
        return json.loads(self.run(*arguments, "--json")[0])


@pytest.fixture
def opened(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[str, str], ChineseShop]:
    """Writes and ingests the shop in an encoding, to be read by a text encoder."""

    def make(encoding: str, encoder: str) -> ChineseShop:
        write(tmp_path, encoding)
        told = CONFIG.replace("[source]", f'[source]\nencoding = "{encoding}"', 1)
        (tmp_path / "recsys.toml").write_text(f'{told}\n[encoder]\nmodel = "{encoder}"\n', encoding="utf-8")
        shop = ChineseShop(tmp_path, capsys)
        out, err = shop.run("ingest", "--items", str(tmp_path / "商品.csv"), "--interactions", str(tmp_path / "订单.csv"))
        assert "items: 200 read = 200 kept + 0 quarantined" in out + err, out + err
        assert "interactions: 960 read = 960 kept + 0 quarantined" in out + err, out + err
        return shop

    return make


def titles(answer: dict[str, Any]) -> list[str]:
    return [item["title"] for item in answer["items"]]


def check_answers(shop: ChineseShop) -> None:
    """Search, similar items and recommendations are in whole Chinese texts, and their reasons quote them."""
    title = goods()["title_zh"][0]
    found = shop.json("search", WORDS)
    # Another product's description has the word too; vectors that say nothing may put it first.
    assert title in titles(found)[:2], titles(found)
    assert "洗发" in found["items"][titles(found).index(title)]["reason"], found["items"][:2]
    assert "洗" in shop.run("search", WORDS)[0]
    near = shop.json("similar", "--item", SHAMPOO)
    assert all(any("\u4e00" <= letter <= "\u9fff" for letter in one) for one in titles(near))
    answer = shop.json("recommend", "--user", "会员003")
    answer = answer[0] if isinstance(answer, list) else answer
    assert answer["user_id"] == "会员003"
    known = set(goods()["title_zh"].to_list())
    assert set(titles(answer)) <= known
    assert all(item["reason"] for item in answer["items"])


def check_pages(shop: ChineseShop) -> None:
    """The page shows Chinese queries, titles, categories and members whole, not as entities or replacement characters."""
    title, category = goods().select("title_zh", "category_zh").row(0)
    settings = load_settings(shop.folder / "recsys.toml")
    config = settings.serve.model_copy(update={"budget_ms": 10_000.0})
    app = application(Workspace(shop.folder / "workspace"), settings.model_copy(update={"serve": config}))
    with TestClient(app, base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        page = client.post("/search", data={"words": WORDS}).text
        assert title in page
        assert WORDS in page
        assert category.split("|")[-1] in page
        recommended = client.post("/", data={"user": "会员003"})
        assert recommended.status_code == 200
        assert "会员003" in recommended.text
        assert any(one in recommended.text for one in goods()["title_zh"])
        assert "\ufffd" not in page + recommended.text
        suggested = client.post("/v1/suggest", json={"prefix": "洗", "n": 5})
        assert suggested.status_code == 200
        assert "洗" in suggested.text


@pytest.mark.skipif(importlib.util.find_spec(PACKAGED_MODEL) is None, reason="the packaged MiniLM is not installed")
@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_with_the_english_encoder_words_are_found_and_a_note_says_what_cannot_be_read(
    encoding: str, opened: Callable[[str, str], ChineseShop]
) -> None:
    shop = opened(encoding, "packaged")
    out, err = shop.run("build-index")
    assert "200 of 200 texts hold mostly words that the encoder cannot read" in out + err, out + err
    assert "茶树去屑洗发水" in out + err
    assert "set encoder.model to a multilingual one" in out + err
    check_answers(shop)
    check_pages(shop)


def test_with_a_multilingual_encoder_all_texts_are_read_and_meaning_counts(opened: Callable[[str, str], ChineseShop]) -> None:
    shop = opened("gb18030", multilingual())
    out, err = shop.run("build-index")
    assert "cannot read" not in out + err
    check_answers(shop)
    assert CONDITIONER in [item["item_id"] for item in shop.json("similar", "--item", SHAMPOO)["items"]]
    # No word of the query is in the catalogue's Chinese.
    assert shop.json("search", "shampoo against dandruff")["items"][0]["item_id"] == SHAMPOO
