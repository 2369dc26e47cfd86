"""Money is exact: what was paid for a piece is the price that the shop asked, whatever the quantity."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.data.prices import exact, limit, price_text, unit_price

# Cents, thousandths (dinars), whole units (yen).
AMOUNTS = st.one_of(
    *(st.integers(1, 10**7).map(lambda n, places=places: Decimal(n).scaleb(-places)) for places in (2, 3)),
    st.integers(1, 10**11).map(Decimal),
)
QUANTITIES = st.one_of(st.integers(1, 10_000).map(Decimal), st.integers(1, 10**6).map(lambda grams: Decimal(grams).scaleb(-3)))


@given(AMOUNTS, QUANTITIES)
def test_a_price_times_a_quantity_over_the_quantity_is_the_price(price: Decimal, quantity: Decimal) -> None:
    paid = unit_price(np.array([float(price * quantity)]), np.array([float(quantity)]))
    assert paid.tolist() == [float(price)]
    assert Decimal(json.dumps(paid[0])) == price
    assert limit(float(price)) == float(price)
    assert Decimal(price_text(float(price)).replace(",", "")) == price


@given(st.integers(1, 99_999).map(lambda n: Decimal(n).scaleb(-2)))
def test_a_price_stored_as_float32_is_read_as_it_was(price: Decimal) -> None:
    assert exact(np.array([float(price)], dtype=np.float32)).tolist() == [float(price)]


@pytest.mark.parametrize(
    ("value", "quantity", "expected"),
    [
        (5.97, 3, 1.99),
        (8.97, 3, 2.99),
        (11.97, 3, 3.99),
        (30.3, 3, 10.1),
        (0.1 + 0.2, 1, 0.3),
        (0.1 + 0.7, 1, 0.8),
        (10.0, 3, 3.3333),
        (3.375, 3, 1.125),
        (4800, 4, 1200.0),
        (12.5, np.nan, 12.5),  # no quantity: one piece
        (0.02, 1000, 0.00002),
        (1e300, 1e-5, 1e305),
    ],
)
def test_unit_prices(value: float, quantity: float, expected: float) -> None:
    assert unit_price(np.array([value]), np.array([float(quantity)])).tolist() == [expected]


@pytest.mark.parametrize(("value", "quantity"), [(0.0, 1.0), (3.0, 0.0), (0.0, 0.0), (np.nan, 1.0), (np.nan, np.nan), (1e308, 1e-9)])
def test_no_price_is_known(value: float, quantity: float) -> None:
    assert np.isnan(unit_price(np.array([value]), np.array([quantity]))).all()


@pytest.mark.parametrize(
    ("price", "text"), [(1.99, "1.99"), (1200.0, "1,200.00"), (1.125, "1.125"), (0.5, "0.50"), (3.3333, "3.3333"), (1234.5, "1,234.50")]
)
def test_a_price_is_shown_with_two_places_or_as_many_as_it_has(price: float, text: str) -> None:
    assert price_text(price) == text
