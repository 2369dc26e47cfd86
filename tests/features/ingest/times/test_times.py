"""Times: every spelling is read as what it is, by its whole column, or refused with the key that reads it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import DataError
from features.ingest.times import time_forms, time_survey
from features.ingest.times.moments import FIRST_DATE, read_moment
from features.ingest.times.written_times import strptime_format

Ingest = Callable[..., Any]
EVENING = datetime(2026, 2, 3, 18, 20)


def read(*values: str, form: str | None = None) -> tuple[list[datetime | None], time_forms.TimeForm]:
    """Read a column as ingest does."""
    table = pl.LazyFrame({"row": range(1, len(values) + 1), "raw.timestamp": values})
    facts = table.select(**time_survey.survey("timestamp")).collect().row(0, named=True)
    found = time_survey.decide(table, "timestamp", facts, form, "source.timestamp_format")
    return table.select(time=time_forms.read("timestamp", found)).collect()["time"].to_list(), found


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-03T18:20:00Z",
        "2026-02-03 18:20:00 UTC",
        "2026-02-03 19:20:00 +0100",  # Shopify
        "2026-02-03T18:20:00",  # WooCommerce
        "2026-02-03T19:20:00+01:00[Europe/Berlin]",
        "2026-02-03T18:20",
        "2026-2-3 18:20",
        "2026/02/03 18:20",
        "20260203T182000Z",
        "2026-02-03 06:20 PM",
        "2026-02-03 18:20:00,000",
        "202602031820",
        "20260203182000",
        "Feb 3, 2026 6:20 PM",
        "February 3rd, 2026 at 6:20 p.m.",
        "3 Feb 2026 18:20",
        "03-FEB-2026 18:20:00",
        "03/Feb/2026:18:20:00 +0000",
        "Tue Feb 03 18:20:00 +0000 2026",
        "Tue Feb  3 18:20:00 UTC 2026",
        "Tue, 03 Feb 2026 19:20:00 +0100",
        "Tue Feb 03 2026 19:20:00 GMT+0100 (Central European Standard Time)",
        "1770142800",
        "1770142800000",
        "1770142800000000",
        "1770142800000000000",
        "1770142800.0",
        "1.7701428E+09",
        "46056.763888889",
    ],
)
def test_one_moment_in_any_spelling(text: str) -> None:
    assert read(text)[0] == [EVENING]


@pytest.mark.parametrize(
    "text", ["2026-02-03", "20260203", "20260203.0", "3 Feb 2026", "Feb 3, 2026", "2026/02/03", "46056", "46056.0", "2026-02-02 24:00"]
)
def test_a_day_in_any_spelling(text: str) -> None:
    assert read(text)[0] == [datetime(2026, 2, 3)]


def test_a_leap_second_is_the_next_second() -> None:
    assert read("2016-12-31T23:59:60Z")[0] == [datetime(2017, 1, 1)]


@pytest.mark.parametrize(
    "text",
    ["2026-02-03 18:20:00 CET", "03/02/26", "2026-02-30", "30 Feb 2026", "2026-02-03 13:20 PM", "2026-W06-2", "3. Februar 2026", "now"],
)
def test_what_is_not_certain_is_not_read(text: str) -> None:
    (moment,), form = read(text)
    assert moment is None
    assert text == "2026-02-30" or "2026-02-03 18:20:00" in form.advice["timestamp not understood"] or text == "30 Feb 2026"


@pytest.mark.parametrize(
    ("values", "moments", "said"),
    [
        (["15/01/2026 10:30", "01/02/2026 09:05"], [datetime(2026, 1, 15, 10, 30), datetime(2026, 2, 1, 9, 5)], "%d/%m/%Y %H:%M"),
        (["1/15/2026", "1/2/2026"], [datetime(2026, 1, 15), datetime(2026, 1, 2)], "%m/%d/%Y"),
        (["15.01.2026", "02.01.2026"], [datetime(2026, 1, 15), datetime(2026, 1, 2)], "%d.%m.%Y"),
        (["01-15-2026 06:20 PM"], [datetime(2026, 1, 15, 18, 20)], "%m-%d-%Y %I:%M %p"),
    ],
)
def test_the_column_tells_the_day_from_the_month(values: list[str], moments: list[datetime], said: str) -> None:
    found, form = read(*values)
    assert found == moments
    assert f'source.timestamp_format = "{said}"' in form.notes[0]
    assert read(*values, form=said)[0] == moments


@pytest.mark.parametrize("values", [["03/02/2026 18:20", "04/02/2026 18:20"], ["03/02/2026 18:20", "15/02/2026 18:20", "02/15/2026 18:20"]])
def test_a_day_that_may_be_a_month_is_refused_with_the_key(values: list[str], ingested: Ingest) -> None:
    assert set(read(*values)[0]) == {None}
    with pytest.raises(DataError, match=r'source.timestamp_format = "%d/%m/%Y %H:%M" or source.timestamp_format = "%m/%d/%Y %H:%M"'):
        ingested("user_id,item_id,timestamp\n" + "".join(f"u,A,{value}\n" for value in values))


def test_the_format_that_is_named_reads_the_value() -> None:
    for text in ("3/2/2026 18:20", "03/02/2026 06:20 PM", "03.02.2026 18:20:00", "03/02/2026"):
        expected = EVENING if ":" in text else datetime(2026, 2, 3)
        assert read(text.replace("3/2/", "03/02/"), form=strptime_format(text, day_first=True))[0] == [expected]


def test_units_are_told_by_most_of_the_column() -> None:
    found, form = read("1770142800000000", "1770142800000001", "1770142800")
    assert found[:2] == [EVENING, EVENING + timedelta(microseconds=1)]
    assert form.notes == ("note: timestamp is read as microseconds since 1970 (1770142800000000 is 2026-02-03 18:20:00)",)
    assert str(form) == "epoch in microseconds"


def test_days_of_a_spreadsheet_are_read_with_a_note(ingested: Ingest) -> None:
    shop = ingested("user_id,item_id,timestamp\nu,A,45962.5208\nu,A,45976\n")
    assert shop.log["timestamp"].to_list() == [datetime(2025, 11, 1, 12, 29, 57), datetime(2025, 11, 15)]
    assert any("the days of a spreadsheet (45962.5208 is 2025-11-01 12:29:57)" in note for note in shop.summary.notes)


@pytest.mark.parametrize(
    ("values", "advice"),
    [
        (["1", "2", "3"], "add 100000000 to each"),
        (["20100", "20101"], 'source.timestamp_format = "unix days"'),
        (["45962", "45976", "3"], 'source.timestamp_format = "spreadsheet days"'),
        (["0", "0"], "0 is no time"),
        (["1970-01-01", "1970-01-01"], "a program's default"),
        (["2026-02-03 18:20:00 CET"], "with an offset"),
    ],
)
def test_a_column_without_a_time_is_refused_with_advice(values: list[str], advice: str, ingested: Ingest) -> None:
    with pytest.raises(DataError) as caught:
        ingested("user_id,item_id,timestamp\n" + "".join(f"u,A,{value}\n" for value in values))
    assert advice in str(caught.value)
    assert ("100000000" in str(caught.value)) == (values[0] in {"1", "20100"})


@pytest.mark.parametrize(
    ("form", "text"), [("unix days", "20487"), ("spreadsheet days", "46056"), ("milliseconds", "1770076800000"), ("seconds", "1770076800")]
)
def test_a_unit_can_be_named(form: str, text: str) -> None:
    assert read(text, form=form)[0] == [datetime(2026, 2, 3)]


@pytest.mark.parametrize("default", ["0", "0000-00-00", "0000-00-00 00:00:00", "1970-01-01", "1900-01-00", "9999-12-31", "0.0"])
def test_a_default_is_no_time(default: str, ingested: Ingest) -> None:
    items = f"item_id,title,created_at\nA,Apple,2026-02-03\nB,Bread,{default}\n"
    shop = ingested(f"user_id,item_id,timestamp\nu,A,2026-02-03\nu,A,{default}\n", items)
    assert shop.items["created_at"].to_list() == [datetime(2026, 2, 3), None]
    assert shop.log.height == 1
    assert f"note: 1 value of created_at is a program's default and no time ('{default}', row 2): unknown" in shop.summary.notes


def test_the_catalogue_has_a_format_of_its_own(ingested: Ingest) -> None:
    items = "item_id,title,created_at\nA,Apple,03/02/2026\n"
    log = "user_id,item_id,timestamp\nu,A,2026-02-03\n"
    with pytest.raises(DataError, match=r'source.created_at_format = "%d/%m/%Y"'):
        ingested(log, items)
    assert ingested(log, items, created_at_format="%d/%m/%Y").items["created_at"].to_list() == [datetime(2026, 2, 3)]


MOMENTS = st.datetimes(datetime(1990, 1, 2), datetime(2026, 1, 1)).map(lambda moment: moment.replace(microsecond=0))
SPELLINGS: dict[str, Callable[[datetime], str]] = {
    "iso": lambda moment: moment.isoformat(),
    "rfc 2822": lambda moment: moment.strftime("%a, %d %b %Y %H:%M:%S +0000"),
    "twelve hours": lambda moment: moment.strftime("%b %d, %Y %I:%M:%S %p"),
    "seconds": lambda moment: str(int(moment.replace(tzinfo=UTC).timestamp())),
    "milliseconds": lambda moment: str(int(moment.replace(tzinfo=UTC).timestamp()) * 1_000),
    "compact": lambda moment: moment.strftime("%Y%m%d%H%M%S"),
    "day first": lambda moment: moment.strftime("%d/%m/%Y %H:%M:%S"),
    "month first": lambda moment: moment.strftime("%m/%d/%Y %H:%M:%S"),
    "spreadsheet": lambda moment: f"{(moment - datetime(1899, 12, 30)) / timedelta(days=1):.9f}",
}


@given(moments=st.lists(MOMENTS, min_size=1, max_size=5), spelling=st.sampled_from(list(SPELLINGS)))
def test_a_column_is_read_alike_in_any_spelling_or_says_why_not(moments: list[datetime], spelling: str) -> None:
    found, form = read(*(SPELLINGS[spelling](moment) for moment in moments))
    if None in found:
        assert spelling in {"day first", "month first"}
        assert set(found) == {None}
        assert "source.timestamp_format" in form.advice["timestamp not understood"]
    else:
        assert found == moments


@given(
    st.one_of(
        MOMENTS.flatmap(lambda moment: st.sampled_from([spell(moment) for spell in SPELLINGS.values()])),
        st.integers(-10, 2 * 10**18).map(str),
        st.from_regex(r"\A\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,9})?)?)?( ?(Z|UTC|[+-]\d\d:?\d\d))?\Z"),
        st.floats(0, 1e10).map(str),
        st.text(max_size=20),
    )
)
def test_the_service_reads_a_time_as_a_file_or_refuses_it(text: str) -> None:
    moment = read_moment(text)
    if moment is not None and moment >= FIRST_DATE:
        assert read(text)[0] == [moment]


@pytest.mark.parametrize(
    "value", [20251115, "20251115", 45976, 0, -1, 202511151230, 20251115123000, True, float("inf"), 10**400, "", "15/11/2025"]
)
def test_one_value_that_only_a_column_can_tell_is_no_moment(value: Any) -> None:
    assert read_moment(value) is None
