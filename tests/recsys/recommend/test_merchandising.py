"""merchandising.toml in the workspace: what it does to the lists of `recommend`, on every route, and that a wrong one ends all answers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from features.data.catalog import Catalog
from features.data.histories import Histories
from ranking.blocklist import Blocklist
from ranking.merchandising.place import Place as Shown
from ranking.merchandising.rules import MerchandisingRules
from recsys.recommend import merchandise, open, pipeline
from recsys.recommend.pipeline import RequestGroup
from recsys.recommend.request import RecommendOptions

if TYPE_CHECKING:
    from recsys.recommend.answers import Answer
    from recsys.recommend.pipeline import Recommender
    from tests.recsys.calls import Command
    from tests.recsys.conftest import Place

ROUTES: dict[str, tuple[str | None, dict[str, Any]]] = {
    "personal": ("user-03", {}),
    "diverse": ("user-03", {"diversity": 0.5}),
    "basket": (None, {"history": ("sku-02", "sku-05")}),
    "popular": (None, {}),
}
PIN = {"name": "tea first", "item": "sku-17", "position": 2}


@pytest.fixture(scope="module")
def plain(ready: Any) -> Recommender:
    return open.open_recommender(ready.workspace)


def ruled(recommender: Recommender, **rules: Any) -> Recommender:
    return recommender.with_rules(MerchandisingRules.model_validate(rules))


def ask(recommender: Recommender, route: str, **more: Any) -> Answer:
    user, options = ROUTES[route]
    return next(recommender.answer(RecommendOptions(**(options | more)), [user]))


def ids(answer: Answer) -> list[str]:
    return [item.item_id for item in answer.items]


@pytest.mark.parametrize("route", list(ROUTES))
def test_a_pinned_item_stands_at_its_position_and_says_so(plain: Recommender, route: str) -> None:
    before, after = ask(plain, route), ask(ruled(plain, pin=[PIN]), route)
    assert ids(after)[1] == "sku-17"
    assert [item.rule for item in after.items] == [None, "tea first", *[None] * 8]
    assert after.items[1].to_dict()["rule"] == "tea first"
    assert all("rule" not in item.to_dict() for item in (*before.items, after.items[0]))
    rest = [item for item in ids(after) if item != "sku-17"]
    if route != "diverse":
        assert rest == [item for item in ids(before) if item != "sku-17"][:9]
    assert after.items[1].reason


@pytest.mark.parametrize("route", list(ROUTES))
def test_a_pinned_item_may_rank_behind_all_that_are_looked_at(plain: Recommender, route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (pipeline, merchandise):
        monkeypatch.setattr(module, "ARRANGED_AMONG", 4)
    last = ids(ask(plain, route, k=40))[-1]
    assert ids(ask(ruled(plain, pin=[PIN | {"item": last}]), route, k=3))[1] == last
    assert last in ids(ask(ruled(plain, campaign=[{"name": "c", "items": [last], "first": 3}]), route, k=3))


def test_a_pinned_item_has_its_own_probability(plain: Recommender) -> None:
    whole = {item.item_id: item.probability for item in ask(plain, "personal", k=40).items}
    pinned = ask(ruled(plain, pin=[PIN | {"position": 1}]), "personal").items[0]
    assert pinned.probability == pytest.approx(whole["sku-17"], abs=0.02)


def test_a_pinned_item_that_no_source_finds_is_ranked_like_all_others(plain: Recommender, monkeypatch: pytest.MonkeyPatch) -> None:
    row = int(plain.snapshot.catalog.rows(["sku-17"])[0])
    right = type(plain).candidates

    def without(self: Recommender, users: Histories, k: int, allowed: np.ndarray | None = None, *more: Any) -> Any:
        found = right(self, users, k, allowed, *more)
        return found.take(np.where(found.rows == row, -1, np.arange(found.rows.shape[1]))).ranked(
            np.where(found.rows == row, -1, found.scores)
        )

    monkeypatch.setattr(type(plain), "candidates", without)
    pinned = ask(ruled(plain, pin=[PIN]), "personal").items[1]
    assert pinned.item_id == "sku-17"
    assert pinned.probability is not None
    assert 0 < pinned.probability < 1


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"exclude": ("sku-17",)}, "the request excludes it"),
        ({"category": "produce"}, "it is of another category"),
        ({"max_price": 2.0}, "it costs more"),
    ],
)
def test_a_request_goes_before_a_pin(plain: Recommender, more: dict[str, Any], why: str) -> None:
    assert "sku-17" not in ids(ask(ruled(plain, pin=[PIN]), "personal", **more)), why


def test_the_blocklist_goes_before_a_campaign(plain: Recommender) -> None:
    recommender = replace(
        ruled(plain, campaign=[{"name": "c", "items": ["sku-17", "sku-18"], "at_least": 2}]), blocklist=Blocklist(items=("sku-17",))
    )
    shown = ids(ask(recommender, "personal"))
    assert "sku-17" not in shown
    assert "sku-18" in shown


@pytest.mark.parametrize("route", list(ROUTES))
def test_at_most_n_of_a_brand(plain: Recommender, route: str) -> None:
    answer = ask(ruled(plain, limit=[{"name": "brands", "by": "brand", "value": "acme", "most": 1, "first": 8}]), route)
    brand = dict(plain.snapshot.catalog.frame.select("item_id", "brand").rows())
    assert sum(brand[item] == "acme" for item in ids(answer)[:8]) <= 1
    assert len(answer.items) == 10
    assert sum(brand[item] == "acme" for item in ids(ask(plain, route))[:8]) > 1, "it is the limit that does it"


@pytest.mark.parametrize("route", list(ROUTES))
def test_boost_bury_and_campaign(plain: Recommender, route: str) -> None:
    before = ids(ask(plain, route))
    buried = ids(ask(ruled(plain, bury=[{"name": "down", "items": before[:1]}]), route))
    assert before[0] not in buried
    boosted = ask(ruled(plain, boost=[{"name": "up", "items": before[-1:], "factor": 100}]), route)
    assert before[-1] in ids(boosted)[:3]
    assert boosted.items[ids(boosted).index(before[-1])].rule == "up"
    missing = next(item for item in plain.snapshot.catalog.ids.tolist() if item not in before and item not in ("sku-02", "sku-05"))
    campaign = ask(ruled(plain, campaign=[{"name": "weeks", "items": [missing], "first": 4}]), route)
    assert campaign.items[3].item_id == missing
    assert campaign.items[3].rule == "weeks"


def test_expected_profit_brings_margins_forward(plain: Recommender) -> None:
    last = ids(ask(plain, "personal"))[-1]
    frame = plain.snapshot.catalog.frame.with_columns(margin=pl.when(pl.col("item_id") == last).then(1_000.0).otherwise(0.1))
    rich = replace(plain, snapshot=replace(plain.snapshot, catalog=Catalog.from_frame(frame)))
    answer = ask(ruled(rich, objective={"by": "expected_profit"}), "personal")
    assert (answer.items[0].item_id, answer.items[0].rule) == (last, "objective")


def test_rules_of_other_places_change_nothing(plain: Recommender) -> None:
    elsewhere = ruled(plain, pin=[PIN | {"where": {"pages": ["home"]}}])
    assert ask(elsewhere, "personal") == ask(plain, "personal")
    assert ids(ask(elsewhere, "personal", page="home", row="for_you"))[1] == "sku-17"
    assert ask(ruled(plain, pin=[PIN]), "personal", merchandising=False) == ask(plain, "personal")


def test_a_pinned_variant_takes_the_place_of_the_others(plain: Recommender) -> None:
    frame = plain.snapshot.catalog.frame
    group = pl.Series([f"product {int(item[-2:]) // 5}" for item in frame["item_id"]])
    grouped = replace(plain, snapshot=replace(plain.snapshot, catalog=Catalog.from_frame(frame.with_columns(group_id=group))))
    best = ids(ask(grouped, "personal"))[0]
    other = next(item for item in grouped.snapshot.catalog.ids.tolist() if int(item[-2:]) // 5 == int(best[-2:]) // 5 and item != best)
    shown = ids(ask(ruled(grouped, pin=[PIN | {"item": other}]), "personal"))
    assert shown[1] == other
    assert best not in shown


def test_without_rules_the_list_is_what_it_was(plain: Recommender) -> None:
    for route in ROUTES:
        nothing = ruled(plain, pin=[PIN | {"item": "gone"}], boost=[{"name": "b", "factor": 2, "brands": ["nobody"]}])
        assert ask(nothing, route) == ask(plain, route)


def test_reserved_places_stay_at_the_end_of_the_list(plain: Recommender) -> None:
    rules = ruled(plain, limit=[{"name": "l", "by": "brand", "value": "nobody", "most": 1}])
    (_, group), *_ = RequestGroup.groups(rules, RecommendOptions(), ["user-03"])
    deep = group.rank(group.retrieve())
    items = deep.rows[0][deep.valid[0]].tolist()
    assert len(items) > group.k
    assert len(set(items)) == len(items), "no item twice"
    (_, same), *_ = RequestGroup.groups(plain, RecommendOptions(), ["user-03"])
    assert items[: group.k] == same.rank(same.retrieve()).rows[0].tolist()


def test_rows_of_pages_are_arranged(plain: Recommender) -> None:
    recommender = ruled(plain, pin=[PIN | {"where": {"pages": ["home"], "rows": ["popular"]}}])
    users = Histories.of_baskets([[]], plain.snapshot.now)
    found, everything = plain.popular(users, 20), np.ones(len(plain.snapshot.catalog), dtype=bool)
    row = int(plain.snapshot.catalog.rows(["sku-17"])[0])
    home = recommender.rules_at(Shown("home", "popular"), 1)
    lists, names = recommender.arranged(found, 5, home, everything)
    assert (int(lists.rows[0, 1]), names[0][1]) == (row, "tea first")
    lists, names = recommender.arranged(found, 5, recommender.rules_at(Shown("basket", "popular"), 1), everything)
    assert lists.rows.tolist() == found.first(5).rows.tolist()
    assert names == [(None,) * 5]
    lists, _ = recommender.arranged(found, 5, home, np.arange(len(everything)) != row)
    if row not in found.rows:
        assert row not in lists.rows


def test_schedules_are_read_by_the_clock(plain: Recommender) -> None:
    rules = ruled(plain, pin=[PIN | {"from": "2026-12-01", "to": "2026-12-24"}])
    assert rules.rules_at(Shown(), 1, datetime(2026, 12, 5, tzinfo=UTC))
    assert rules.rules_at(Shown(), 1, datetime(2027, 1, 5, tzinfo=UTC)) is None


def test_the_file_is_read_with_the_bundle(command: Command, spare: Place) -> None:
    root = spare.workspace.root
    (root / "merchandising.toml").write_text('[[pin]]\nname = "tea first"\nitem = "sku-17"\nposition = 1\n', encoding="utf-8")
    items = command("recommend", "--user", "user-03", "--json", workspace=root).answer["items"]
    assert (items[0]["item_id"], items[0]["rule"]) == ("sku-17", "tea first")
    assert "rule" not in items[1]


@pytest.mark.parametrize(
    ("text", "blocked", "said"),
    [
        ("[[pins]]\n", "", "merchandising.toml: unknown key pins, did you mean 'pin'?"),
        ('[[pin]]\nname = "p"\nitem = "sku-17"\nposition = 1\n', 'items = ["sku-17"]\n', "pin 'p' shows 'sku-17', which rules.toml"),
    ],
)
def test_wrong_rules_end_all_answers(command: Command, spare: Place, text: str, blocked: str, said: str) -> None:
    root = spare.workspace.root
    (root / "merchandising.toml").write_text(text, encoding="utf-8")
    (root / "rules.toml").write_text(blocked, encoding="utf-8")
    for words in (("recommend", "--user", "user-03"), ("recommend",), ("search", "tea"), ("rules", "check")):
        assert said in command(*words, workspace=root).error
