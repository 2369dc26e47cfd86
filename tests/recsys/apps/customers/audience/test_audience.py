"""Audiences on the tiny shop: who is found, who is left out, what is expected, and requests that cannot be answered."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
import pytest

from features.data.customers import OPTED, Customers
from features.errors import ConfigError, DataError
from ranking.calibration import Calibration
from recsys.apps.customers.audience.answers import Audience
from recsys.apps.customers.audience.contact import NO_CONSENT, Contact
from recsys.apps.customers.audience.fitting import WINDOW, AudienceModels, at_moment, fit_models, models_of
from recsys.apps.customers.audience.model import AudienceModel
from recsys.apps.customers.audience.pipeline import ENOUGH, AudienceFinder
from recsys.apps.customers.audience.request import MAX_LENGTH, AudienceRequest
from recsys.apps.customers.groups import exposure_gaps, groups_of
from recsys.recommend import open


@pytest.fixture(scope="module")
def finder(ready: Any) -> AudienceFinder:
    recommender = open.open_recommender(ready.workspace)
    return AudienceFinder(recommender, fit_models(recommender))


def ask(finder: AudienceFinder, **options: Any) -> Audience:
    return finder.answer(AudienceRequest(**options))


def customers(finder: AudienceFinder, **columns: Any) -> Customers:
    ids = sorted(finder.recommender.snapshot.log.user_ids.tolist())
    return Customers.of(pl.DataFrame({"user_id": ids} | {name: [value(i) for i in range(len(ids))] for name, value in columns.items()}))


def test_buyers_of_an_item_come_before_those_of_other_categories(finder: AudienceFinder) -> None:
    found = ask(finder, item="sku-00", k=60)
    assert (found.kind, found.product, found.days) == ("sold", "green tea small", WINDOW)
    chances = [one.probability or 0 for one in found.members]
    assert chances == sorted(chances, reverse=True)
    assert all(0 < p < 1 for p in chances)
    mine = [one.user_id for one in found.members[:10]]  # category 0 is the favourite of users 0, 4, 8, ...
    assert sum(int(user.split("-")[1]) % 4 == 0 for user in mine) >= 8
    assert all(one.reason for one in found.members)
    assert found.members[0].reason.startswith(("bought", "often buys"))
    assert not any("you" in one.reason.split() for one in found.members)


def test_expected_sales_are_the_sum_of_chances_within_the_interval(finder: AudienceFinder) -> None:
    found = ask(finder, item="sku-00", k=20)
    assert found.sales is not None
    assert found.sales.expected == pytest.approx(sum(one.probability or 0 for one in found.members), abs=1e-3)
    assert 0 <= found.sales.low <= found.sales.expected <= found.sales.high <= 20


def test_a_category_and_words_have_customers(finder: AudienceFinder) -> None:
    by_category = ask(finder, category="bakery", k=10)
    assert by_category.kind == "category"
    assert sum(int(one.user_id.split("-")[1]) % 4 == 1 for one in by_category.members) >= 8
    by_text = ask(finder, text="a new rye bread", k=10)
    assert by_text.kind == "unsold"
    assert len(by_text.members) == 10
    # One product sold for the first time in two windows: too little to learn from, and it is said.
    assert by_text.sales is None
    assert any("without probabilities" in note for note in by_text.notes)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({}, "found none: give one of them"),
        ({"item": "sku-00", "text": "tea"}, "found item, text: give one of them"),
        ({"item": "sku-99"}, "item 'sku-99' is not in the catalogue"),
        ({"category": "drink"}, "category"),
        ({"text": "  "}, "the text is empty"),
        ({"text": "tea " * 12_500}, f"50,000 characters, expected at most {MAX_LENGTH:,}"),
        ({"item": "sku-00", "k": 0}, "k is 0"),
        ({"item": "sku-00", "budget": 0.0}, "budget is 0.0"),
        ({"item": "sku-00", "budget": float("nan")}, "budget is nan"),
        ({"item": "sku-00", "budget": 5.0}, "set audience.letter_cost"),
    ],
)
def test_a_request_that_cannot_be_answered_is_one_line(finder: AudienceFinder, options: dict[str, Any], problem: str) -> None:
    with pytest.raises(DataError, match=problem.replace("(", r"\(")) as error:
        ask(finder, **options)
    assert "\n" not in str(error.value)


def test_a_budget_buys_letters(finder: AudienceFinder) -> None:
    paid = replace(finder, letter_cost=0.3)
    assert len(ask(paid, item="sku-00", budget=1.5).members) == 5
    assert len(ask(paid, item="sku-00", k=3, budget=100.0).members) == 3
    with pytest.raises(DataError, match=r"the budget of 0\.2 pays for no letter at 0\.3"):
        ask(paid, item="sku-00", budget=0.2)


def test_more_than_there_are_is_said(finder: AudienceFinder) -> None:
    found = ask(finder, text="rye bread", k=1_000)
    assert len(found.members) == found.customers == 60
    assert any("1,000 customers were asked for, 60 of 60" in note for note in found.notes)


def test_who_may_not_be_written_to_is_left_out_and_counted(finder: AudienceFinder) -> None:
    table = customers(finder, consent=lambda i: None if i % 3 == 0 else i % 3 == 1, opted_out=lambda i: i % 10 == 0)
    found = ask(replace(finder, customers=table), text="rye bread", k=60)
    assert found.left_out == {OPTED: 6, NO_CONSENT: 36}
    assert {int(one.user_id.split("-")[1]) % 3 for one in found.members} == {1}
    assert len(found.members) + sum(found.left_out.values()) == found.customers


def test_nobody_with_consent_is_an_error(finder: AudienceFinder) -> None:
    table = customers(finder, consent=lambda _: False)
    with pytest.raises(DataError, match=r"none of 60 customers may be written to \(60 no consent\)"):
        ask(replace(finder, customers=table), item="sku-00")


@pytest.mark.parametrize("table", [None, "unknown"])
def test_it_is_said_where_nothing_is_known_of_consent(finder: AudienceFinder, table: str | None) -> None:
    known = None if table is None else customers(finder)
    assert any("consent" in note for note in ask(replace(finder, customers=known), item="sku-00").notes)


def test_who_is_not_in_the_table_has_no_consent() -> None:
    table = Customers.of(pl.DataFrame({"user_id": ["a"], "consent": [True]}))
    assert Contact.of(table, np.array(["a", "b"], dtype=object)).barred[NO_CONSENT].tolist() == [False, True]


def test_whom_nothing_is_due_for_is_left_out(finder: AudienceFinder) -> None:
    """In a shop where nobody buys again, all former buyers have enough."""
    snapshot = finder.recommender.snapshot
    once = replace(finder, recommender=replace(finder.recommender, snapshot=replace(snapshot, buys_again=False)))
    found = ask(once, item="sku-00", k=60)
    buyers = np.unique(snapshot.log.user[snapshot.log.item == 0])
    assert found.left_out == {ENOUGH: len(buyers)}
    assert not {one.user_id for one in found.members} & set(snapshot.log.user_ids[buyers].tolist())


def test_the_future_changes_nothing(finder: AudienceFinder) -> None:
    snapshot = finder.recommender.snapshot
    cut = snapshot.now - WINDOW * 86_400
    past = at_moment(finder.recommender, cut)
    assert past.snapshot.log.time.max() < cut
    whole = past.snapshot.stats.columns["buyers_ever"]
    before = snapshot.log.between(None, cut)
    assert whole[0] == len(np.unique(before.user[(before.item == 0) & (before.event == 0)]))


def test_models_are_kept_for_their_bundle(finder: AudienceFinder, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "audience" / "older").mkdir(parents=True)
    monkeypatch.setattr("recsys.apps.customers.audience.fitting.fit_models", lambda _: finder.models)
    first = models_of(finder.recommender, tmp_path)
    assert [path.name for path in (tmp_path / "audience").iterdir()] == [finder.recommender.bundle_id]
    monkeypatch.setattr("recsys.apps.customers.audience.fitting.fit_models", lambda _: pytest.fail("fitted again"))
    read = models_of(finder.recommender, tmp_path)
    assert read.models.keys() == first.models.keys()
    one, other = (replace(finder, models=models).answer(AudienceRequest(item="sku-00")) for models in (first, read))
    assert one == other


def test_a_short_log_is_refused(finder: AudienceFinder) -> None:
    snapshot = finder.recommender.snapshot
    short = replace(snapshot, log=snapshot.log.between(snapshot.now - 60 * 86_400, None))
    with pytest.raises(DataError, match="the log covers 60 days, expected at least 112"):
        fit_models(replace(finder.recommender, snapshot=short))


def model(spread: float) -> AudienceModel:
    return AudienceModel(None, Calibration(np.zeros(1), np.zeros(1)), spread, 10)  # type: ignore[arg-type]


def test_the_interval_holds_what_comes_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    chances = rng.uniform(0.01, 0.2, 100)
    for spread in (0.0, 0.2):
        told = model(spread).sales(chances)
        share = rng.gamma(1 / spread, spread, 4_000) if spread else np.ones(4_000)
        came = (rng.random((4_000, 100)) < np.minimum(share[:, None] * chances, 1)).sum(axis=1)
        assert 0.78 <= ((told.low <= came) & (came <= told.high)).mean() <= 0.93, spread
    assert model(0.0).sales(np.zeros(3)).high == 0
    assert AudienceModels({}).to_files() == {}


def test_exposure_is_told_by_group_as_of_a_plan(finder: AudienceFinder) -> None:
    table = customers(finder, attributes=lambda i: json.dumps({"age": "young" if i % 4 == 0 else "old"}), opted_out=lambda i: i == 1)
    aged = replace(finder, customers=table, sensitive=("age",), exposure_gap=0.1)
    found = aged.answer(AudienceRequest(item="sku-00", k=15))
    chosen = {member.user_id for member in found.members}
    ids = table.frame["user_id"].to_list()
    may = [user for i, user in enumerate(ids) if i != 1]
    young = [user for i, user in enumerate(ids) if i % 4 == 0]
    told = {gap.group: gap for gap in found.exposure}
    assert told == {gap.group: gap for gap in exposure_gaps(groups_of(table, ("age",), np.array(may)), np.isin(may, list(chosen)))}
    assert any("too small to compare" in note for note in found.notes) == (len(young) < 20)
    answer = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert [gap["group"] for gap in answer["exposure"]] == list(told)
    assert answer["exposure_limit"] == 0.1


def test_a_gap_beyond_the_limit_is_said(finder: AudienceFinder) -> None:
    first = {one.user_id for one in ask(finder, item="sku-00", k=20).members}
    ids = sorted(finder.recommender.snapshot.log.user_ids.tolist())
    table = customers(finder, attributes=lambda i: json.dumps({"age": "young" if ids[i] in first else "old"}))
    aged = replace(finder, customers=table, sensitive=("age",), exposure_gap=0.1)
    found = aged.answer(AudienceRequest(item="sku-00", k=20))
    assert {gap.group: gap.mean for gap in found.exposure} == {"old": 0.0, "young": 1.0}
    assert any(note.startswith("the exposure of 2 of 2 groups, such as age young (+") for note in found.notes)
    lines = [gap.exposure("into the audience", found.exposure_limit) for gap in found.exposure]
    assert any(line.startswith("exposure, age young: 100.0% get into the audience, +") and "limit 10.0%" in line for line in lines)
    with pytest.raises(ConfigError, match=r"campaigns\.sensitive needs a table of customers"):
        replace(finder, sensitive=("age",)).answer(AudienceRequest(item="sku-00"))
    with pytest.raises(ConfigError, match="no customer has the attribute 'agee'"):
        replace(aged, sensitive=("agee",)).answer(AudienceRequest(item="sku-00"))
