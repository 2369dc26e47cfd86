"""The price of a merchandising rule: what it changes in lists whose users' next purchases are known, and its place in the command line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl
import pytest

from eval.metrics.lists import ndcg
from eval.protocol.ground_truth import GroundTruth
from eval.protocol.runner import EvaluateConfig, EvaluationRunner
from features.data.catalog import Catalog
from features.data.split import Split
from features.errors import ConfigError
from ranking.merchandising.rules import MerchandisingRules
from recsys.apps.storefront import rule_price
from recsys.apps.storefront.rule_check import PRICES
from recsys.apps.storefront.rule_price import ALL, EXPECTED_PROFIT, EXPECTED_REVENUE, NDCG, REVENUE, Pricer, RulePrice
from recsys.offline.evaluate import evaluation_cut
from recsys.recommend import open
from recsys.recommend.pipeline import Recommender
from recsys.snapshot.aggregates import LogAggregates

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.recsys.calls import Command
    from tests.recsys.conftest import Place

CONFIG = EvaluateConfig(resamples=100, max_users=30)


@pytest.fixture(scope="module")
def past(ready: Any) -> tuple[Recommender, Split]:
    """The tiny shop's recommender as of a moment before the log's end; its weights have seen the rest, which does not matter here."""
    opened = open.open_recommender(ready.workspace)
    snapshot = opened.snapshot
    split = Split.by_time(snapshot.log, evaluation_cut(snapshot.log))
    counted = LogAggregates.of(snapshot.catalog, split.history, split.cut, opened.model.retrieval)
    return Recommender(opened.model, replace(snapshot, now=split.cut, **vars(counted))), split


@pytest.fixture(scope="module")
def price(past: tuple[Recommender, Split]) -> Callable[..., dict[str, RulePrice]]:
    """Prices rules, given as in the file: name -> effect."""

    def of(recommender: Recommender | None = None, blocked: tuple[int, ...] = (), **rules: Any) -> dict[str, RulePrice]:
        some = MerchandisingRules.model_validate(rules)
        used = recommender or past[0]
        allowed = np.ones(len(used.snapshot.catalog), dtype=bool)
        allowed[list(blocked)] = False
        runner = EvaluationRunner(GroundTruth.of(past[1], CONFIG.max_users), CONFIG, lambda _label, _done, _total: None)
        names = [*some.names, *([] if some.objective.plain else ["objective"])]
        return {one.name: one for one in Pricer(used, allowed, some).prices(runner, names)}

    return of


def test_a_rule_that_changes_nothing_costs_nothing(price: Callable[..., dict[str, RulePrice]]) -> None:
    (one,) = price(bury=[{"name": "b", "brands": ["nobody"]}]).values()
    assert (one.lists, one.places) == (0, 0)
    assert all((change.value, change.low, change.high) == (0, 0, 0) for change in one.change.values())
    assert set(one.change) == {NDCG, REVENUE, EXPECTED_REVENUE}


def test_the_metrics_without_rules_are_those_of_the_evaluation(
    past: tuple[Recommender, Split], price: Callable[..., dict[str, RulePrice]]
) -> None:
    (one,) = price(bury=[{"name": "b", "brands": ["acme"]}]).values()
    recommender, split = past
    truth = GroundTruth.of(split, CONFIG.max_users)
    lists = recommender.recommend(split.histories(truth.users), 10, truth.allowed("all", np.arange(len(truth.users)))).rows
    assert one.before[NDCG].value == pytest.approx(np.nanmean(ndcg(lists, truth.relevant("all"), 10)))
    prices = recommender.snapshot.prices
    paid = [
        float(sum(prices[row] for row in row_list if row in set(rows))) for row_list, rows in zip(lists, truth_rows(truth), strict=True)
    ]
    assert one.before[REVENUE].value == pytest.approx(np.mean(paid))


def truth_rows(truth: GroundTruth) -> list[list[int]]:
    """What each user bought after the cut, known items alone."""
    relevant = truth.relevant("all")
    return [relevant.item[relevant.user == user].tolist() for user in range(len(truth.users))]


def test_to_bury_what_sells_costs_ndcg_and_each_rule_stands_alone(price: Callable[..., dict[str, RulePrice]]) -> None:
    rules = {
        "bury": [
            {"name": "best", "categories": ["drinks", "bakery", "household", "produce"], "factor": 0.5},
            {"name": "acme", "brands": ["acme"]},
        ],
        "pin": [{"name": "pin", "item": "sku-33", "position": 1, "where": {"pages": ["home"]}, "to": "2020-01-01"}],
    }
    found = price(**rules)
    assert list(found) == ["pin", "best", "acme", ALL]
    assert found["acme"].change[NDCG].high < 0
    assert found["acme"].lists > 0.9
    assert found["best"].lists == 0, "all items have the same factor"
    assert found["pin"].lists > 0.9, "its price is that of the rule at any time, in the personal list"
    assert found["pin"].change[NDCG].value < 0
    assert found[ALL].change == found["acme"].change, "the pin does not hold now, nor there"
    assert found["pin"].kind == "pin"


def test_expected_profit_earns_more_and_is_told_where_margins_are_known(
    past: tuple[Recommender, Split], price: Callable[..., dict[str, RulePrice]]
) -> None:
    recommender, _ = past
    margins = pl.Series(np.random.default_rng(0).uniform(0.01, 5, len(recommender.snapshot.catalog)))
    catalog = Catalog.from_frame(recommender.snapshot.catalog.frame.with_columns(margin=margins))
    rich = replace(recommender, snapshot=replace(recommender.snapshot, catalog=catalog))
    (one,) = price(rich, objective={"by": "expected_profit"}).values()
    assert one.change[EXPECTED_PROFIT].low > 0
    assert one.change[NDCG].value <= 0


def test_a_rule_of_a_category_is_judged_on_its_lists(price: Callable[..., dict[str, RulePrice]]) -> None:
    (one,) = price(bury=[{"name": "b", "items": ["sku-01"], "where": {"categories": ["drinks"]}}]).values()
    assert one.lists > 0
    assert one.before[NDCG].users < 30, "those who bought of the category"
    (other,) = price(bury=[{"name": "b", "items": ["sku-31"], "where": {"categories": ["drinks"]}}]).values()
    assert other.lists == 0


def test_what_the_blocklist_bars_is_in_no_list(price: Callable[..., dict[str, RulePrice]]) -> None:
    (one,) = price(blocked=(33,), pin=[{"name": "p", "item": "sku-33", "position": 1}]).values()
    assert one.lists == 0


def test_the_command_prints_a_table_and_json(
    command: Command, spare: Place, past: tuple[Recommender, Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_price, "recommender_at_cut", lambda *_: past)
    root = spare.workspace.root
    assert "has no rules: write one, see docs/merchandising.md" in command("rules", "price", workspace=root).error
    (root / "merchandising.toml").write_text(
        '[[bury]]\nname = "acme down"\nbrands = ["acme"]\n'
        '[[pin]]\nname = "gone"\nitem = "x"\nposition = 1\nwhere = { rows = ["popular"] }\n',
        encoding="utf-8",
    )
    said = command("rules", "price", workspace=root)
    assert "acme down" in said.out
    assert "note: pin 'gone' changes nothing" in said.out
    assert "note: 'gone' holds in the rows popular: its price is that of the same rule in the personal list" in said.out
    written = spare.workspace.reports / PRICES
    assert [one["rule"] for one in json.loads(written.read_text())["rules"]] == ["gone", "acme down", ALL]
    written.unlink()
    answer = command("rules", "price", "--rule", "acme down", "--json", workspace=root).answer
    assert not written.exists()  # the prices of the other rules would be missing
    assert [one["rule"] for one in answer["rules"]] == ["acme down"]
    page = (Path(__file__).parents[4] / "docs" / "json.md").read_text(encoding="utf-8")
    example = json.loads(page.split("```json rules-price\n")[1].split("```")[0])
    assert set(answer) == set(example)
    assert set(answer["rules"][0]) == set(example["rules"][0])
    assert set(answer["rules"][0]["metrics"]["ndcg@10"]["change"]) == set(example["rules"][0]["metrics"]["ndcg@10"]["change"])
    wrong = command("rules", "price", "--rule", "acme dwn", workspace=root).error
    assert "merchandising.toml has no rule 'acme dwn', did you mean 'acme down'?" in wrong


def test_contradictions_are_refused_before_anything_is_priced(
    command: Command, spare: Place, past: tuple[Recommender, Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rule_price, "recommender_at_cut", lambda *_: past)
    pins = "".join(f'[[pin]]\nname = "{name}"\nitem = "{item}"\nposition = 1\n' for name, item in (("a", "sku-01"), ("b", "sku-02")))
    (spare.workspace.root / "merchandising.toml").write_text(pins, encoding="utf-8")
    for verb in ("price", "check"):
        assert "pins 'a' and 'b' both take position 1" in command("rules", verb, workspace=spare.workspace.root).error


def test_rules_check_says_what_each_rule_is_about(command: Command, spare: Place) -> None:
    root = spare.workspace.root
    assert "no rules: merchandising.toml is empty" in command("rules", "check", workspace=root).out
    (root / "merchandising.toml").write_text(
        """
[objective]
by = "expected_profit"
[[pin]]
name = "advent"
item = "sku-07"
position = 1
to = 2020-12-24
where = { pages = ["home"], rows = ["for_you"] }
[[limit]]
name = "brands"
by = "brand"
most = 3
first = 10
[[boost]]
name = "acme"
brands = ["acme"]
factor = 1.5
[[campaign]]
name = "tea weeks"
categories = ["tea"]
at_least = 2
""",
        encoding="utf-8",
    )
    lines = command("rules", "check", workspace=root).out.splitlines()
    assert "pin 'advent': item 'sku-07' at position 1, in home / for_you, does not hold now" in lines
    assert "limit 'brands': at most 3 of one brand in the first 10 (27 items), in every list, holds now" in lines
    assert "boost 'acme': the probability of 15 items counts 1.5 times, in every list, holds now" in lines
    assert "campaign 'tea weeks': at least 2 of 10 items among the first 10, in every list, holds now" in lines
    assert "objective 'objective': lists are ordered by expected profit, in every list, holds now" in lines
    assert any(line.startswith("note: pin 'advent' ended on 2020-12-25 00:00") for line in lines)
    assert any("no margin is known" in line for line in lines)
    answer = command("rules", "check", "--json", workspace=root).answer
    page = (Path(__file__).parents[4] / "docs" / "json.md").read_text(encoding="utf-8")
    example = json.loads(page.split("```json rules-check\n")[1].split("```")[0])
    assert set(answer) == set(example)
    assert set(answer["rules"][0]) == set(example["rules"][0])


@pytest.mark.parametrize("name", ["x", "objective"])
def test_a_name_that_is_no_rule_is_refused(spare: Place, name: str) -> None:
    (spare.workspace.root / "merchandising.toml").write_text('[[bury]]\nname = "b"\nbrands = ["acme"]\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=f"has no rule '{name}'.*its rules are b"):
        rule_price.rule_prices(spare.workspace, spare.settings, name)
