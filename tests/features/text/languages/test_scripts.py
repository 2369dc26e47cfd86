"""The script of a text, and which catalogues are in several."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, pre_tokenizers

from features.text.languages.scripts import LATIN, LEAST, NO_SCRIPT, SCRIPTS, script_of, scripts_beside_each_other, scripts_of

TEXTS = {
    "Latin": ["green tea", "Käse", "SPF 50", "Eau de Cologne 4711", "matcha お茶 powder of the house", "220 Ω resistor"],
    "Chinese and Japanese": ["洗发水", "Nivea 防晒霜", "シャンプー", "牛奶 1L", "お茶"],
    "Korean": ["샴푸", "LG 세탁기", "녹차 100g"],
    "Cyrillic": ["шампунь", "Чай зелёный", "кофе Lavazza"],
    "Greek": ["ψωμί", "ελαιόλαδο 1 L", "Τσάι"],
    "Arabic": ["شامبو", "شاي أخضر", "مناديل"],
    "Hebrew": ["שמפו", "תה ירוק", "לחם"],
    "Devanagari": ["शैम्पू", "हरी चाय", "साबुन"],
    "Thai": ["แชมพู", "ชาเขียว", "สบู่"],
}


@pytest.mark.parametrize("name", TEXTS)
def test_the_script_of_a_text_is_that_of_its_letters(name: str) -> None:
    code = SCRIPTS.index(name)
    assert scripts_of(pl.Series(TEXTS[name])).tolist() == [code] * len(TEXTS[name])
    assert [script_of(text) for text in TEXTS[name]] == [code] * len(TEXTS[name])


@pytest.mark.parametrize("text", ["", "123", "!?", "ಚಹಾ", "🍓"])
def test_texts_without_letters_or_in_a_script_not_listed_have_none(text: str) -> None:
    assert script_of(text) == NO_SCRIPT


@given(st.lists(st.text(max_size=20), max_size=10))
def test_any_text_can_be_judged(texts: list[str]) -> None:
    found = scripts_of(pl.Series("title", texts, dtype=pl.String))
    assert found.dtype == np.int8
    assert len(found) == len(texts)
    assert ((found >= NO_SCRIPT) & (found < len(SCRIPTS))).all()


def reads(*words: str) -> Tokenizer:
    """A tokenizer that knows these words alone."""
    vocabulary = {word: number for number, word in enumerate(["[UNK]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def test_a_catalogue_in_one_script_has_no_scripts() -> None:
    assert scripts_beside_each_other(pl.Series(["tea"] * 50), reads("tea")) is None
    assert scripts_beside_each_other(pl.Series(["чай"] * 50 + ["123"]), reads("чай")) is None
    assert scripts_beside_each_other(pl.Series([], dtype=pl.String), reads()) is None


def test_a_script_of_few_texts_is_none() -> None:
    titles = ["tea"] * 50 + ["чай"] * LEAST + ["茶"] * (LEAST - 1)
    found = scripts_beside_each_other(pl.Series(titles), reads("tea", "чай", "茶"))
    assert found is not None
    assert found.tolist() == [LATIN] * 50 + [SCRIPTS.index("Cyrillic")] * LEAST + [NO_SCRIPT] * (LEAST - 1)


def test_texts_that_the_encoder_cannot_read_are_left_as_they_are() -> None:
    titles = pl.Series(["tea"] * 50 + ["чай"] * 50)
    assert scripts_beside_each_other(titles, reads("tea")) is None
