"""The ingest of customers and of campaigns: each kind of bad row, and what is said of the others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from features.ingest.erased_users import ErasedUsers
from features.ingest.optional_tables import OptionalName
from features.ingest.pipeline import ingest
from features.ingest.source import Source
from features.ingest.summary import IngestSummary
from features.ingest.table_store import load_optional

Ingested = Callable[..., tuple[IngestSummary, pl.DataFrame]]
PEOPLE = "user_id,consent,opted_out,language,Age\n"
SENT = "campaign_id,user_id,sent_at,offer,item_id,cost,redeemed_at,holdout\n"


@pytest.fixture
def ingested(tmp_path: Path) -> Ingested:
    """Return the summary and the stored rows of a table that is given as text; each row that was read is kept or quarantined."""

    def read(name: OptionalName, text: str, erased: ErasedUsers | None = None, **keys: object) -> tuple[IngestSummary, pl.DataFrame]:
        (tmp_path / "items.csv").write_text("item_id,title\nA,Apple\nB,Bread\n")
        (tmp_path / "log.csv").write_text("user_id,item_id,timestamp\nu1,A,2026-01-01\nu2,B,2026-01-02\n")
        (tmp_path / "table.csv").write_text(text)
        files = {"items": tmp_path / "items.csv", "interactions": tmp_path / "log.csv", name: tmp_path / "table.csv"}
        summary = ingest(Source.model_validate({**files, **keys}), tmp_path / "out", erased)
        rows, counts = load_optional(tmp_path / "out", name), summary.optional[name]
        assert rows is not None
        assert counts.read == counts.kept + counts.quarantined == rows.height + counts.quarantined
        return summary, rows

    return read


@pytest.mark.parametrize("yes", ["yes", "1", "TRUE", "ja", "oui"])
def test_consent_in_several_spellings(ingested: Ingested, yes: str) -> None:
    _, rows = ingested("customers", f"{PEOPLE}u1,{yes},,de-AT,34\nu2,no,{yes},English,\n")
    assert rows.select("consent", "opted_out", "language").rows() == [(True, None, "de"), (False, True, "en")]


def test_only_named_attributes_are_kept(ingested: Ingested) -> None:
    summary, rows = ingested("customers", f"{PEOPLE}u1,yes,,,34\nu2,yes,,,\n", customers_attributes=["Age", "income"])
    assert rows["attributes"].to_list() == ['{"Age":"34"}', '{"Age":null}']
    assert "note: the table of customers: it has no column 'income' (source.customers_attributes)" in summary.notes
    assert summary.profile is not None
    assert summary.profile.audience is not None
    assert summary.profile.audience.attributes == {"Age": 1}
    _, rows = ingested("customers", f"{PEOPLE}u1,yes,,,34\n")
    assert rows["attributes"].to_list() == ["{}"]


def test_the_row_that_forbids_to_write_stays(ingested: Ingested) -> None:
    text = f"{PEOPLE}u1,yes,,,\nu1,no,,,\nu2,yes,,,\nu2,yes,1,,\nu3,yes,,en,\nu3,yes,,de,\n"
    summary, rows = ingested("customers", f"{text}u4,,,,\n")
    assert "note: the table of customers: consent is not known of 1 of 4 customers: a plan leaves them out" in summary.notes
    assert rows.select("user_id", "consent", "opted_out", "language").rows() == [
        ("u1", False, None, ""),
        ("u2", True, True, ""),
        ("u3", True, None, "en"),
        ("u4", None, None, ""),
    ]
    assert sum(summary.optional["customers"].reasons.values()) == 3


def test_bad_rows_of_customers_have_a_reason_each(ingested: Ingested) -> None:
    summary, _ = ingested("customers", f"{PEOPLE},yes,,,\nu1,maybe,,,\nu2,,,xx,\nu3,yes,perhaps,,\n")
    assert summary.optional["customers"].reasons == {
        "consent is neither yes nor no": 1,
        "no user_id": 1,
        "opted_out is neither yes nor no": 1,
    }
    assert any("no row has consent: whether a customer agreed to be written to is not known" in note for note in summary.notes)
    assert any("a language that is not understood ('xx' in row 3)" in note for note in summary.notes)


def test_campaigns_with_times_of_two_columns_and_a_holdout(ingested: Ingested) -> None:
    text = f'{SENT}spring,u1,15.01.2026,C1,A,"0,50",17.01.2026,no\nspring,u2,,C1,A,,,yes\n'
    summary, rows = ingested("campaigns", text, decimal=",", campaigns_timestamp_format="%d.%m.%Y")
    assert rows.row(0, named=True) == {
        "campaign_id": "spring",
        "user_id": "u1",
        "sent_at": datetime(2026, 1, 15),
        "offer": "C1",
        "item_id": "A",
        "category": None,
        "cost": 0.5,
        "redeemed_at": datetime(2026, 1, 17),
        "holdout": False,
    }
    assert rows["holdout"].to_list() == [False, True]
    assert summary.profile is not None
    assert summary.profile.mailings is not None
    assert (summary.profile.mailings.campaigns, summary.profile.mailings.held_out, summary.profile.mailings.redeemed) == (1, 1, 1)


def test_bad_rows_of_campaigns_have_a_reason_each(ingested: Ingested) -> None:
    rows = [
        "c,u0,2026-01-15,,,1,,",
        ",u1,2026-01-15,,,1,,",
        "c,,2026-01-15,,,1,,",
        "c,u2,,,,1,,no",
        "c,u3,soon,,,1,,",
        "c,u4,2999-01-15,,,1,,",
        "c,u5,2026-01-15,,,-1,,",
        "c,u6,2026-01-15,,,much,,",
        "c,u7,2026-01-15,,,1,2026-01-14,",
        "c,u8,2026-01-15,,,1,later,",
        "c,u9,2026-01-15,,,1,,perhaps",
        "c,u0,2026-01-15,,,2,,",
    ]
    summary, kept = ingested("campaigns", SENT + "\n".join(rows) + "\n")
    assert kept["user_id"].to_list() == ["u0"]
    assert set(summary.optional["campaigns"].reasons) == {
        "no campaign_id",
        "no user_id",
        "no sent_at",
        "sent_at not understood",
        "sent_at in the future",
        "negative cost",
        "cost is not a number",
        "redeemed before it was sent",
        "redeemed_at not understood",
        "holdout is neither yes nor no",
        "duplicate row (the first one stays)",
    }
    assert any("no customer was held out by chance" in note for note in summary.notes)


def test_a_row_of_an_unknown_item_stays_without_it(ingested: Ingested) -> None:
    summary, rows = ingested("campaigns", f"{SENT}c,u1,2026-01-15,,zzz,1,,\nc,u2,2026-01-15,,B,1,,\n")
    assert rows["item_id"].to_list() == [None, "B"]
    assert "note: the table of campaigns: 1 row names an item that the catalogue lacks ('zzz'): kept without it" in summary.notes


@pytest.mark.parametrize(
    ("name", "text"),
    [("customers", f"{PEOPLE}u1,yes,,,\nu2,yes,,,\n"), ("campaigns", f"{SENT}c,u1,2026-01-15,,,,,\nc,u2,2026-01-15,,,,,\n")],
)
def test_rows_of_an_erased_user_are_neither_stored_nor_quarantined(ingested: Ingested, name: OptionalName, text: str) -> None:
    summary, rows = ingested(name, text, ErasedUsers().with_users(["u1"]))
    assert rows["user_id"].to_list() == ["u2"]
    assert summary.optional[name].reasons == {"of an erased user": 1}
