"""Currencies: ISO 4217 codes and the signs that stand for them."""

from __future__ import annotations

import re

CODES = [
    "AED", "ARS", "AUD", "BDT", "BGN", "BHD", "BRL", "CAD", "CHF", "CLP", "CNY", "COP", "CZK", "DKK", "EGP", "EUR", "GBP", "GEL",
    "GHS", "HKD", "HRK", "HUF", "IDR", "ILS", "INR", "ISK", "JOD", "JPY", "KES", "KRW", "KWD", "KZT", "LKR", "MAD", "MXN", "MYR",
    "NGN", "NOK", "NZD", "OMR", "PEN", "PHP", "PKR", "PLN", "QAR", "RON", "RSD", "RUB", "SAR", "SEK", "SGD", "THB", "TND", "TRY",
    "TWD", "UAH", "USD", "UYU", "UZS", "VND", "ZAR",
]  # fmt: skip
# A sign that several currencies share stands for itself.
SIGNS = {
    "us$": "USD", "a$": "AUD", "au$": "AUD", "c$": "CAD", "ca$": "CAD", "nz$": "NZD", "hk$": "HKD", "s$": "SGD", "r$": "BRL", "mx$": "MXN",
    "nt$": "TWD", "€": "EUR", "£": "GBP", "₹": "INR", "₽": "RUB", "₩": "KRW", "₫": "VND", "₺": "TRY", "₴": "UAH", "₦": "NGN", "₱": "PHP",
    "฿": "THB", "₪": "ILS", "zł": "PLN", "kč": "CZK", "ft": "HUF", "rp": "IDR", "rp.": "IDR", "rs": "INR", "rs.": "INR", "rm": "MYR",
    "fr.": "CHF", "sfr.": "CHF", "лв": "BGN", "лв.": "BGN", "руб": "RUB", "руб.": "RUB", "euro": "EUR", "euros": "EUR",
    "円": "JPY", "元": "CNY", "rmb": "CNY", "원": "KRW", "kd": "KWD", "bd": "BHD", "jd": "JOD", "dh": "AED", "dhs": "AED", "tl": "TRY",
    "grn": "UAH", "грн": "UAH", "грн.": "UAH", "din": "RSD", "din.": "RSD", "eur.": "EUR",
    "$": "$", "¥": "¥", "kr": "kr", "kr.": "kr",
}  # fmt: skip
_SHARED = {
    "$": {"USD", "CAD", "AUD", "NZD", "SGD", "HKD", "MXN", "ARS", "CLP", "COP", "TWD", "UYU"},
    "¥": {"JPY", "CNY"},
    "kr": {"SEK", "NOK", "DKK", "ISK"},
}
NAMES = {code.lower(): code for code in CODES} | SIGNS
PATTERN = "|".join([*(re.escape(sign) for sign in sorted(SIGNS, key=len, reverse=True)), *(code.lower() for code in CODES)])


def same(one: str, other: str) -> bool:
    """Return whether two names may stand for one currency: $ for USD, or for CAD."""
    return one == other or one in _SHARED.get(other, ()) or other in _SHARED.get(one, ())
