"""Whether a reason is true: every number and name in it is held against the shop's log."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import polars as pl
import pytest

from recsys.recommend.answers import Recommendation


def bought(shop: Any, user: str) -> pl.DataFrame:
    return shop.events.filter((pl.col("user_id") == user) & (pl.col("event") == "purchase"))


def check_reason(shop: Any, item: Recommendation, user: str | None, basket: tuple[str, ...] = ()) -> str:
    """The kind of the reason, after holding every number and name in it against the log."""
    end = shop.events["timestamp"].max() + timedelta(seconds=1)
    titles: dict[str, set[str]] = {}
    for item_id, title in shop.items.select("item_id", "title").rows():
        titles.setdefault(title, set()).add(item_id)
    mine = bought(shop, user or "")
    held = {*mine["item_id"].to_list(), *basket}
    own = mine.filter(pl.col("item_id") == item.item_id)["timestamp"].unique().sort(descending=True).to_list()
    own = [*([end] if item.item_id in basket else []), *own]
    reason = item.reason
    if found := re.fullmatch(r"bought (?:once|(\d+) times(?:, about every (\d+) days?)?), (?:last )?(.*)", reason):
        assert len(own) == int(found[1] or 1)
        days = (end - own[0]) / timedelta(days=1)
        told = {"just now": 0.0, "today": 0.5}.get(found[3]) if not found[3][0].isdigit() else float(found[3].split()[0])
        assert told == pytest.approx(days, abs=0.51)
        if found[2]:
            assert float(found[2]) == pytest.approx((own[0] - own[-1]) / timedelta(days=1) / (len(own) - 1), abs=0.51)
        return "repeat"
    for words in ("bought together with ", "close to "):
        if reason.startswith(words):
            partners = titles[reason.removeprefix(words).removesuffix(" that you bought")] & held
            assert partners - {item.item_id}
            return words.split()[0] + " " + words.split()[1]
    if found := re.fullmatch(r"you often buy from (.*)|you often buy (.*)", reason):
        column, name = ("category", found[1]) if found[1] else ("brand", found[2])
        value = shop.items.filter(pl.col("item_id") == item.item_id)[column][0]
        assert value.rsplit("|", 1)[-1] == name
        shelf = shop.items.filter(pl.col(column) == value)["item_id"].to_list()
        assert len([row for row in held if row in shelf]) >= 1
        assert mine.filter(pl.col("item_id").is_in(shelf))["timestamp"].n_unique() + len(set(basket) & set(shelf)) >= 2
        return column
    if found := re.fullmatch(r"popular this week: (\d+) buyers", reason):
        week = shop.events.filter((pl.col("event") == "purchase") & (pl.col("timestamp") > end - timedelta(days=7, seconds=1)))
        assert week.filter(pl.col("item_id") == item.item_id)["user_id"].n_unique() == int(found[1]) >= 3
        return "popular"
    month = shop.events.filter((pl.col("event") == "purchase") & (pl.col("timestamp") > end - timedelta(days=28, seconds=1)))
    buyers = month.filter(pl.col("item_id") == item.item_id)["user_id"].n_unique()
    if found := re.fullmatch(r"(\d+) buyers in the last 28 days", reason):
        assert buyers == int(found[1])
        return "popular" if buyers >= 3 else "neutral"
    if reason == "few recent buyers":
        assert buyers < 3
        return "few"
    if reason == "nobody has bought it yet":
        assert item.item_id not in shop.events.filter(pl.col("event") == "purchase")["item_id"]
        return "debut"
    found = re.fullmatch(r"(no|\d+) buyers? in the last 28 days", reason)
    assert found, reason
    assert buyers == int(found[1].replace("no", "0"))
    return "neutral"
