"""Prices are decimals of at most four places, so that equal amounts of money are equal numbers: 5.97 / 3 is 1.99."""

from __future__ import annotations

import numpy as np

PLACES = 4  # a thousandth of a dinar, and a tenth of a cent a litre, with one to spare
_EXACT_BELOW = 1e12  # above it, a float64 has no four decimal places to round
_LIMIT_PLACES = 9  # finer than any price, and coarser than the error of a sum of floats


def exact(prices: np.ndarray) -> np.ndarray:
    """Return prices as the nearest decimals of `PLACES` places, float64 (n,); nan stays nan.

    A float32 stands for the shortest decimal that it is nearest to: 1.9900000095 was 1.99. A price that would round to 0
    stays as it is.
    """
    if prices.dtype == np.float32:
        distinct, place = np.unique(prices, return_inverse=True)
        prices = distinct.astype(str).astype(np.float64)[place]
    with np.errstate(over="ignore"):
        rounded = np.round(prices, PLACES)
    return np.where((rounded == 0) | (np.abs(prices) >= _EXACT_BELOW), prices, rounded)


def unit_price(value: np.ndarray, quantity: np.ndarray) -> np.ndarray:
    """Return the price of one piece, float64 (n,); nan where it is unknown or not above 0.

    Parameters
    ----------
    value : price of the whole quantity, float64 (n,).
    quantity : number of pieces, float64 (n,); nan means one.
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        prices = exact(value / np.where(np.isnan(quantity), 1.0, quantity))
    return np.where(np.isfinite(prices) & (prices > 0), prices, np.nan)


def limit(price: float) -> float:
    """Return a bound that prices are compared with, without the error of a sum of floats: 0.1 + 0.2 is 0.3."""
    return round(price, _LIMIT_PLACES)


def price_text(price: float) -> str:
    """Return a price with two decimal places, or with as many as it has."""
    whole, _, fraction = f"{price:,.{PLACES}f}".partition(".")
    return f"{whole}.{fraction.rstrip('0').ljust(2, '0')}"
