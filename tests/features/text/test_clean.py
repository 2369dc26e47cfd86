"""Texts as a customer reads them."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.text.clean import ENTITIES, INVISIBLE, MARKUP, MOJIBAKE, cleaned

RIGHT = [
    "Áo dài thêu hoa sen, quần ống rộng",
    "Łódź: żółta kurtka",
    "CRÈME BRÛLÉE À L’ÉRABLE, CAFÉ®, PÂTÉ…, «MAÎTRE»",
    "São Paulo, SÃO PAULO, MAÇÃ",
    "ชาเขียวญี่ปุ่น 100 กรัม",
    "😀 T‑shirt 👩‍👩‍👧",
    "می‌خواهم",
    "Größe 42½, Ø 12 mm, 5 °C, ≤ 3 µm",
    "Чай зелёный, 日本の緑茶, 녹차",
]


@pytest.mark.parametrize("text", RIGHT)
def test_right_texts_stay(text: str) -> None:
    assert cleaned(pl.Series([text])).to_list() == [{"text": text, "changes": 0}]


@given(st.text(st.characters(min_codepoint=32, max_codepoint=0x17F, blacklist_characters="<&[{\x7f", blacklist_categories=["Cc", "Cf"])))
def test_mending_never_lengthens_a_text(text: str) -> None:
    assert len(cleaned(pl.Series([text])).struct.field("text")[0]) <= len(text)


@pytest.mark.parametrize(
    ("text", "expected", "done"),
    [
        ("CafÃ©", "Café", MOJIBAKE),
        ("CrÃ¨me brÃ»lÃ©e", "Crème brûlée", MOJIBAKE),
        ("Cap â€“ Lâ€™OrÃ©al", "Cap – L’Oréal", MOJIBAKE),
        ("Ð§Ð°Ð¹", "Чай", MOJIBAKE),
        ("Caf&Atilde;&copy;", "Café", ENTITIES | MOJIBAKE),
        ("Cap &amp; Badge", "Cap & Badge", ENTITIES),
        ("<b>Cap</b>", "Cap", MARKUP),
        ("Win\xadter\u200b\ufeff", "Winter", INVISIBLE),
        ("\u202eabc", "abc", INVISIBLE),
        ("e\u0301", "é", 0),
    ],
)
def test_what_was_done_is_told(text: str, expected: str, done: int) -> None:
    assert cleaned(pl.Series(["plain", text, None, text])).to_list() == [
        {"text": "plain", "changes": 0},
        {"text": expected, "changes": done},
        {"text": None, "changes": 0},
        {"text": expected, "changes": done},
    ]
