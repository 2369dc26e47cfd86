"""Quantities: any spelling of the same unit gives the same term, and units are never converted."""

from __future__ import annotations

import pytest

from retrieval.lexical.analyzer import Analyzer
from retrieval.lexical.units import is_unit, number, shown_words, split_quantity, unit_of

SPELLINGS = {
    "1gal": ("1 gal", "1 gallon", "1 GA", "1-gallon", "one gallon", "1gal.", "1.0 Gallons"),
    "0.5gal": ("half gallon", "1/2 gal", "½ gallon", ".5 gal", "0,5 GA", "half a gallon"),
    "1.5gal": ("1 1/2 gal", "1-1/2 gallon", "1½ gal"),
    "128oz": ("128 oz", "128oz", "128 ounces", "128 fl oz", "128 Fl. Oz.", "128-ounce"),
    "6.5oz": ("6.5oz", "6.5 OZ", "6,5 ounce", "6.50 oz"),
    "5lb": ("5 lb", "5lbs", "5 pounds", "5#", "5-pound", "five pounds"),
    "12ct": ("12 ct", "12 count", "12CT", "12-count", "12 cnt"),
    "6pk": ("6 pk", "6 pack", "6-pack", "6PK"),
    "55in": ("55 in", '55"', "55-inch", "55 inches", "55″", "55''", "55 Zoll"),
    "6ft": ("6 ft", "6'", "6 feet", "6-foot"),
    "1.5l": ("1.5 l", "1,5 l", "1,5 Liter", "1.5 litre", "1.5L", "1.50 lt", "1,5 litros"),
    "33cl": ("33 cl", "33cl", "33 centilitres"),
    "500ml": ("500 ml", "500ML", "500 millilitre"),
    "2kg": ("2 kg", "2kg", "2 kilos", "2 Kilogramm"),
    "250g": ("250 g", "250 gr", "250 grams", "250 Gramm"),
    "5000mah": ("5000 mAh", "5000mAh", "5,000 mAh"),
    "16gb": ("16 GB", "16gb", "16 gigabytes"),
    "3.2ghz": ("3.2 GHz", "3,2GHz", "3.2 gigahertz"),
    "60w": ("60 W", "60W", "60 watts"),
    "1qt": ("1 qt", "1 quart", "1 QTS"),
}


@pytest.mark.parametrize(("term", "text"), [(term, text) for term, texts in SPELLINGS.items() for text in texts])
def test_spellings_of_a_quantity_meet(term: str, text: str) -> None:
    assert Analyzer().tokens(text) == [term]
    assert term in Analyzer().index_words(f"something, {text}, good")


@pytest.mark.parametrize("text", ["12x33 cl", "12 x 33cl", "12 × 33 cl", "12X33CL"])
def test_factors_are_numbers_of_their_own(text: str) -> None:
    assert Analyzer().tokens(text) == ["12", "33cl"]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("3 in 1", ["3", "1"]),
        ("pound cake", ["pound", "cake"]),
        ('"iphone 7"', ["iphon", "7"]),
        ("1920x1080", ["1920", "1080"]),
        ("2 in the box", ["2", "box"]),
        ("10 CT/17.5 OZ", ["10ct", "17.5oz"]),
    ],
)
def test_what_only_looks_like_a_unit_is_none(text: str, tokens: list[str]) -> None:
    assert Analyzer().tokens(text) == tokens


def test_units_are_not_converted() -> None:
    assert Analyzer().tokens("128 oz") != Analyzer().tokens("1 gal")


@pytest.mark.parametrize(
    ("text", "expected"), [("1,000", "1000"), ("1.50", "1.5"), ("007", "7"), ("1/3", "0.333"), ("1,5", "1.5"), ("1/0", "1 0")]
)
def test_numbers_have_one_spelling(text: str, expected: str) -> None:
    assert number(text) == expected


def test_a_unit_is_named_by_words_alone() -> None:
    assert [unit_of(word) for word in ("gallons", "pound", "in", "g", "milk")] == ["gal", "lb", None, None, None]
    assert [is_unit(word) for word in ("inch", "in", "milk")] == [True, True, False]
    assert split_quantity("1.5l") == ("1.5", "l")
    assert split_quantity("dv7") is None


def test_a_quantity_is_shown_as_one_word():
    assert shown_words("Milk/Cream, 1 GA 16OZ and 2") == ["Milk", "Cream,", "1 GA", "16OZ", "and", "2"]
