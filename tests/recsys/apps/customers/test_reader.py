"""Who the customers of the tiny shop are: on the command line, after an erasure, and where a bundle or a log cannot say it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from features.errors import DataError
from recsys.apps.customers.reader import CustomersReader, UnknownCustomerError
from recsys.apps.customers.segments import SEGMENTS
from recsys.apps.customers.taste import Tastes
from recsys.apps.customers.watch import REFRESHES, RefreshDays, watch_customers
from recsys.cli.main import run
from recsys.privacy.erasure import erase
from recsys.recommend.open import open_recommender
from recsys.recommend.pipeline import Recommender
from recsys.refresh import build
from recsys.snapshot.customers import CustomerTables
from tests.conftest import N_USERS, START, Shop
from tests.recsys.conftest import Place


@pytest.fixture(scope="module")
def recommender(ready: Place) -> Recommender:
    return open_recommender(ready.workspace)


@pytest.fixture
def reader(recommender: Recommender, ready: Place) -> CustomersReader:
    return CustomersReader(recommender, ready.workspace.reports)


def test_every_customer_is_in_one_segment_and_the_figures_add_up(reader: CustomersReader, shop: Shop) -> None:
    answer = reader.segments()
    assert [one.segment for one in answer.segments] == list(SEGMENTS)
    assert sum(one.customers for one in answer.segments) == answer.customers == N_USERS
    assert sum(one.share for one in answer.segments) == pytest.approx(1, abs=1e-3)
    bought = shop.events.filter(pl.col("event") == "purchase")
    assert sum(one.spend for one in answer.segments) == pytest.approx(bought["value"].sum(), abs=0.1), "the log is shorter than 364 days"
    assert all(one.rule for one in answer.segments)
    assert any("expected at least" in note for note in answer.notes), "60 customers are too few for a model, and that is said"
    assert json.loads(json.dumps(answer.to_dict(), allow_nan=False))["bundle_id"] == reader.recommender.bundle_id
    rows = list(reader.rows(None))
    assert len({row.user_id for row in rows}) == N_USERS
    assert [row.spend for row in rows] == sorted((row.spend for row in rows), reverse=True)


def test_a_customer_is_as_the_log_says(reader: CustomersReader, shop: Shop) -> None:
    answer = reader.customer("user-05")
    own = shop.events.filter(pl.col("user_id") == "user-05", pl.col("event") == "purchase")
    days = own["timestamp"].dt.date().unique().sort()
    row = answer.customer
    assert (row.purchase_days, answer.first_purchase, answer.last_purchase) == (len(days), str(days[0]), str(days[-1]))
    assert row.spend == pytest.approx(own["value"].sum(), abs=0.01)
    end = shop.events["timestamp"].max()
    recent = own.filter(pl.col("timestamp").dt.date() > end.date() - timedelta(28))  # type: ignore[union-attr]
    assert row.spend_28 == pytest.approx(recent["value"].sum(), abs=0.01)
    assert answer.categories[0].category == "bakery", "user 5 buys mostly there"
    assert answer.categories[0].times_average > 1
    best = own.group_by("item_id").len().sort("len", descending=True)["item_id"][:3].to_list()
    assert answer.examples[0].item_id in best
    assert (row.chance_28, row.spend_90, row.next_purchase) == (None, None, None)
    assert row == next(one for one in reader.rows(row.segment) if one.user_id == "user-05")


def test_what_is_new_and_what_is_no_longer_bought(fresh: Callable[[], Place], shop: Shop) -> None:
    """One who bought tea on many days turns to bread."""
    days = [START + timedelta(days=day) for day in (*range(0, 60, 10), *range(180, 199, 6))]
    rows = [("turned", "sku-00" if day < START + timedelta(100) else "sku-10", day, "purchase", 1.0, 2.0) for day in days]
    place = fresh()
    more = pl.DataFrame(rows, schema=shop.events.schema, orient="row")
    pl.concat([shop.events, more]).write_csv(place.log)
    place.ingest()
    catalog, log = place.workspace.load()
    new, gone = Tastes(catalog, log).changes(int(log.user_rows(["turned"])[0]), 10.0)
    assert (new, gone) == (("bakery",), ("drinks|tea",))
    assert Tastes(catalog, log).changes(int(log.user_rows(["turned"])[0]), 100.0)[1] == (), "a customer of long gaps is given time"


def test_unknown_names_are_one_line(reader: CustomersReader) -> None:
    with pytest.raises(UnknownCustomerError, match="the log has no customer 'nobody'"):
        reader.customer("nobody")
    with pytest.raises(DataError, match="did you mean 'loyal'"):
        reader.of_segment("loyl", 5)


def test_a_bundle_without_the_part_and_logs_that_say_nothing(recommender: Recommender, ready: Place) -> None:
    def of(tables: CustomerTables) -> CustomersReader:
        return CustomersReader(replace(recommender, snapshot=replace(recommender.snapshot, customers=tables)), ready.workspace.reports)

    with pytest.raises(DataError, match="has no table of customers.*recsys build-index"):
        of(CustomerTables.empty()).segments()
    built = replace(CustomerTables.empty(), built=True)
    with pytest.raises(DataError, match="only the order of events"):
        of(built).segments()
    with pytest.raises(DataError, match="no purchases"):
        of(replace(built, until=recommender.snapshot.customers.until)).cohorts()


def test_nothing_ingested(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--workspace", str(tmp_path), "customers"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "recsys build-index" in line


def test_the_tables_survive_their_files(recommender: Recommender) -> None:
    tables = recommender.snapshot.customers
    again = CustomerTables.from_files(tables.to_files())
    assert all(np.array_equal(getattr(tables.days, name), getattr(again.days, name)) for name in ("user", "day", "first", "time", "value"))
    assert again.expected.equals(tables.expected)
    assert (again.until, again.notes) == (tables.until, tables.notes)
    assert CustomerTables.empty().to_files() == {}
    assert not CustomerTables.from_files({}).built


def test_an_erased_customer_is_gone_and_the_others_stay_who_they_were(spare: Place) -> None:
    before = {row.user_id: row for row in spare.shop.customers.rows(None)}
    erase(spare.workspace, "user-05", "user-17")
    reader = spare.shop.customers
    after = {row.user_id: row for row in reader.rows(None)}
    assert before.keys() - after.keys() == {"user-05", "user-17"}
    assert all(after[name].spend == before[name].spend and after[name].recency == before[name].recency for name in after)
    with pytest.raises(UnknownCustomerError):
        reader.customer("user-05")
    assert not (spare.workspace.cache / "customers").exists()


def test_the_command_line(spare: Place, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    line = ["--workspace", str(spare.workspace.root), "customers"]
    for words, said in (
        ((), "60 customers"),
        (("--segment", "Loyal", "-k", "2"), "loyal:"),
        (("--user", "user-05"), "Customer user-05"),
        (("--cohorts",), "2024-01"),
        (("--movements",), "no refresh with an earlier log is known"),
    ):
        assert run([*line, *words]) == 0
        assert said in capsys.readouterr().out
        assert run([*line, *words, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["bundle_id"]
    for name in ("c.csv", "c.jsonl", "c.parquet"):
        assert run([*line, "--out", str(tmp_path / name)]) == 0
    assert pl.read_csv(tmp_path / "c.csv").height == pl.read_parquet(tmp_path / "c.parquet").height == N_USERS
    for wrong in (("--segment", "loyal", "--user", "x"), ("--out", "x.csv", "--cohorts"), ("--out", "x.txt"), ("-k", "0")):
        assert run([*line, *wrong]) == 2
    assert run([*line, "--user", "nobody"]) == 1


def test_movements_since_the_refresh_before(spare: Place, shop: Shop) -> None:
    """The shop publishes a log, and again a month later."""
    shorter = shop.events.filter(pl.col("timestamp") < START + timedelta(170))
    for events in (shorter, shop.events):
        events.write_csv(spare.log)
        spare.ingest()
        build.build_index(spare.workspace, spare.settings)
        watch_customers(spare.workspace, spare.settings)
    days = RefreshDays.of(spare.workspace.reports)
    assert days.latest is not None
    assert days.before is not None
    assert 20 <= days.latest - days.before <= 31
    spare.shop.__dict__.pop("customers", None)
    answer = spare.shop.customers.movements()
    assert answer.notes == ()
    assert answer.stayed + sum(one.customers for one in answer.movements) == N_USERS
    assert watch_customers(spare.workspace, spare.settings) == (), "of one bundle only once"
    (spare.workspace.reports / REFRESHES).write_text("{", encoding="utf-8")
    assert RefreshDays.of(spare.workspace.reports) == RefreshDays()
    shutil.rmtree(spare.workspace.reports)
    assert "28 days" in spare.shop.customers.movements().notes[0]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("customers", ()),
        ("customer", ("--user", "user-05")),
        ("segment-customers", ("--segment", "lost")),
        ("cohorts", ("--cohorts",)),
        ("movements", ("--movements",)),
    ],
)
def test_json_has_the_documented_keys(name: str, words: tuple[str, ...], ready: Place, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[4] / "docs" / "json.md").read_text(encoding="utf-8")
    documented = json.loads(page.split(f"```json {name}\n")[1].split("```")[0])
    assert run(["--workspace", str(ready.workspace.root), "customers", *words, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found) == list(documented)
    for key, value in documented.items():
        if isinstance(value, list) and value and isinstance(value[0], dict) and found[key]:
            assert list(found[key][0]) == list(value[0])
