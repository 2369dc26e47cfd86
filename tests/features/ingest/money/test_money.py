"""Money and numbers: read alike in both tables, by the column as a whole, or refused with the key that reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.ingest.money import amounts, number_survey
from features.ingest.source import Source

Ingest = Callable[..., Any]
LOG = "user_id,item_id,timestamp\nu,A,2026-02-03\n"


def read(*values: str, name: str = "price", **options: Any) -> tuple[list[float | None], amounts.Amounts]:
    """Read a column as ingest does."""
    absent = pl.lit(None, pl.String)
    table = pl.LazyFrame({"row": range(1, len(values) + 1), f"raw.{name}": values}).with_columns(absent.alias("raw.currency"))
    surveys = number_survey.survey(name) | number_survey.survey_head(name)
    facts = table.select(**surveys, **{"currency present": pl.lit(0)}).collect().row(0, named=True)
    source = Source.model_validate({"interactions": "log.csv"} | options)
    found = amounts.decide(table, [name], facts, source)
    value = found.read(name) if name == "quantity" else found.price(name)
    return table.select(value=value).collect()["value"].to_list(), found


@pytest.mark.parametrize(
    "text",
    [
        "$1,299.00",
        "1299",
        "1,299.00 USD",
        "USD 1299.00",
        "1.299,00 €",
        "1 299,00 €",
        "1\u202f299,00\u00a0€",
        "R$ 1.299,00",
        "£1'299.00",
        "CHF 1’299.-",
        "1 299:-",
        "1,299円",
        "1 299,00&nbsp;&euro;",
        "KD 1,299.000",
        "kr. 1.299,00",
        "１２９９．００",
        "١٢٩٩٫٠٠",
        "1,299.00/kg",
        "from $1,299.00",
        "1299.00 - 1500.00",
        "$1,299.00 – $1,500.00",
    ],
)
def test_one_price_in_any_spelling(text: str) -> None:
    assert read(text)[0] == [1299.0]


@pytest.mark.parametrize("text", ["(12.00)", "12.00-", "-12.00", "-$12.00", "$-12.00", "\u221212.00", "($12.00)"])
def test_what_is_below_zero(text: str) -> None:
    assert read(text)[0] == [-12.0]


@pytest.mark.parametrize("text", ["abc", "inf", "12 50", "1.2.3", "1,29,9", "--5", "(12", "12,99", "12.99 x 3"])
def test_what_is_no_price(text: str) -> None:
    assert read(text)[0] == [None]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["150.000", "89.900", "990", "12.490.000"], [150_000.0, 89_900.0, 990.0, 12_490_000.0]),
        (["Rp150.000", "Rp1.250.000"], [150_000.0, 1_250_000.0]),
        (["1.500", "1.299,00"], [1500.0, 1299.0]),
        (["1.500", "3,50"], [1500.0, 3.5]),
        (["3,50"] * 9 + ["10,00"], [3.5] * 9 + [10.0]),
        (["1.500", "12.50"], [1.5, 12.5]),
        (["1.500", "0.250"], [1.5, 0.25]),
        (["1.500", "$1,299.00"], [1.5, 1299.0]),
        (["1,500", "12.50"], [1500.0, 12.5]),
        (["1,29,900.00", "1,00,000"], [129_900.0, 100_000.0]),
        (["150.000", "89.900"], [None, None]),
        (["150.000", "990"], [None, 990.0]),
        (["3,50", "4,50", "10"], [None, None, 10.0]),
        (["3,50", "1,500"], [None, None]),
        (["1.500", "1,500"], [None, None]),
    ],
)
def test_the_column_tells_its_decimal_sign(values: list[str], expected: list[float | None]) -> None:
    found, form = read(*values)
    assert found == expected
    if None in expected:
        assert 'source.decimal = ","' in form.advice["price is not a number"]
    assert any("decimal comma" in note for note in form.notes) == (form.forms["price"].style == "comma" or "3,50" in values)


@pytest.mark.parametrize(
    ("decimal", "values", "expected"),
    [
        (",", ["150.000", "990"], [150_000.0, 990.0]),
        (".", ["150.000", "990"], [150.0, 990.0]),
        (",", ["3,50", "10"], [3.5, 10.0]),
        (",", ["Rp150.000"], [150_000.0]),
        (",", ["12.5", "3.25"], [12.5, 3.25]),  # a program's numbers, in the other table of the source
        (",", ["€ 12.50", "€ 1.500"], [12.5, 1.5]),
    ],
)
def test_the_key_reads_a_column_that_does_not_tell(decimal: str, values: list[str], expected: list[float]) -> None:
    assert read(*values, decimal=decimal)[0] == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["1 pc", "2x", "x3", "1.5 kg"], [1.0, 2.0, 3.0, 1.5]),
        (["1", "1,000"], [1.0, 1000.0]),
        (["1.000", "2.500"], [1.0, 2.5]),  # goods by weight
        (["1,000", "2,500"], [1.0, 2.5]),
        (["1,500", "0,250"], [None, None]),
        (["1,500 kg", "1.250,5 kg"], [1.5, 1250.5]),
        (["x", "1"], [None, 1.0]),
        (["-2", "2-"], [-2.0, -2.0]),
    ],
)
def test_quantities(values: list[str], expected: list[float | None]) -> None:
    assert read(*values, name="quantity")[0] == expected


def test_money_is_read_alike_in_both_tables(ingested: Ingest) -> None:
    items = 'item_id,title,price\nA,Sofa,"$1,299.00"\nB,Cushion,$9.00\n'
    rows = ['1,"1,299.00"', '1,"$1,299.00"', "1,9.00", '"1,000","9,000.00"', "2,on request", "x,5"]
    shop = ingested("user_id,item_id,timestamp,quantity,value\n" + "".join(f"u,A,2026-01-01,{row}\n" for row in rows), items)
    assert shop.refused == []
    assert shop.log["value"].to_list() == [1299.0, 1299.0, 9.0, 9000.0, None, 5.0]
    assert shop.log["quantity"].to_list() == [1.0, 1.0, 1.0, 1000.0, 2.0, None]
    assert "note: 1 value of value is not a number ('on request', row 5): its row is kept, with an unknown value" in shop.summary.notes
    assert "note: 1 value of quantity is not a number ('x', row 6): its row is kept, with an unknown quantity" in shop.summary.notes


def test_a_line_of_unknown_quantity_has_no_known_value(ingested: Ingest) -> None:
    shop = ingested("user_id,item_id,timestamp,quantity,unit_price\nu,A,2026-01-01,3,0.07\nu,A,2026-01-01,x,5\nu,A,2026-01-01,,1.99\n")
    assert shop.log["value"].to_list() == [0.21, None, 1.99]


def test_prices_of_two_currencies_are_not_mixed(ingested: Ingest) -> None:
    items = "item_id,title,price\nA,Apple,12.00 EUR\nB,Bread,13.00 USD\nC,Cake,€14.00\n"
    shop = ingested(LOG, items)
    assert shop.items["price"].to_list() == [12.0, None, 14.0]
    assert shop.summary.notes == (
        "note: 1 price is unknown, as it is not in EUR, the most frequent currency (1 in USD; first in row 2); "
        'source.currency = "USD" chooses another',
    )
    assert ingested(LOG, items, currency="USD").items["price"].to_list() == [None, 13.0, None]


def test_prices_of_a_log_without_a_catalogue_keep_their_currency(ingested: Ingest) -> None:
    rows = ["A,2026-01-01,Apple,5,EUR", "B,2026-01-02,Bread,6,EUR", "C,2026-01-02,Cake,700,JPY"]
    log = "user_id,item_id,timestamp,title,price,currency\n" + "".join(f"u,{row}\n" for row in rows)
    assert ingested(log, None).items["price"].to_list() == [5.0, 6.0, None]


def test_a_column_may_name_the_currency(ingested: Ingest) -> None:
    log = (
        "user_id,item_id,timestamp,value,currency\nu,A,2026-01-01,5,eur\nu,A,2026-01-02,6,EUR\nu,A,2026-01-03,700,JPY\nu,A,2026-01-03,7,\n"
    )
    assert ingested(log).log["value"].to_list() == [5.0, 6.0, None, 7.0]


def test_two_tables_in_two_currencies_are_told(ingested: Ingest) -> None:
    log = "user_id,item_id,timestamp,value\nu,A,2026-01-01,5 EUR\n"
    shop = ingested(log, "item_id,title,price\nA,Apple,5 USD\n")
    assert any("prices are in USD and the log's in EUR" in note for note in shop.summary.notes)
    same = ingested(log.replace("EUR", "USD"), "item_id,title,price\nA,Apple,$5\n")
    assert same.summary.notes == ()


def test_a_range_is_its_lowest_price_and_told(ingested: Ingest) -> None:
    shop = ingested(LOG, "item_id,title,price\nA,Apple,10 - 20\nB,Bread,from $5\nC,Cake,3.99/kg\n")
    assert shop.items["price"].to_list() == [10.0, 5.0, 3.99]
    assert "note: 3 values of price are ranges or prices per unit ('10 - 20', row 1): the lowest number is taken" in shop.summary.notes


AMOUNTS = st.decimals(0, 99_999, places=2, allow_nan=False).map(float)
SPELLINGS: dict[str, Callable[[float], str]] = {
    "plain": lambda value: f"{value:.2f}",
    "dollars": lambda value: f"${value:,.2f}",
    "code": lambda value: f"{value:,.2f} USD",
    "swiss": lambda value: f"CHF {value:,.2f}".replace(",", "'"),
    "german": lambda value: f"{value:,.2f} €".translate(str.maketrans(",.", ".,")),
    "french": lambda value: f"{value:,.2f}\u00a0€".translate(str.maketrans({",": "\u202f", ".": ","})),
    "comma": lambda value: f"{value:.2f}".replace(".", ","),
}


@given(values=st.lists(AMOUNTS, min_size=1, max_size=15), spelling=st.sampled_from(list(SPELLINGS)))
def test_a_column_is_read_alike_in_any_spelling_or_says_why_not(values: list[float], spelling: str) -> None:
    found, form = read(*(SPELLINGS[spelling](value) for value in values))
    if None in found:
        assert 'source.decimal = ","' in form.advice["price is not a number"]
        found = read(*(SPELLINGS[spelling](value) for value in values), decimal=",")[0]
    assert found == values
