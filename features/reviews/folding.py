"""Folds texts character by character, so that a place in the folded text is the same place in the text."""

from __future__ import annotations

import unicodedata

import polars as pl

_ASCII = {chr(code): chr(code).lower() if chr(code).isalnum() else " " for code in range(128)}


def folded(texts: pl.Series) -> pl.Series:
    """Return texts in lower case, without accents, and with a space for each character that is no letter or digit.

    Each text keeps its number of characters, so "ß" stays: two letters would move what follows. A missing text is empty.
    """
    texts = texts.fill_null("")
    plain = texts.str.to_lowercase().str.replace_all(r"[^a-z0-9]", " ")
    ascii_only = texts.str.len_bytes() == texts.str.len_chars()
    if ascii_only.all():
        return plain
    others = texts.filter(~ascii_only)
    table = {ord(old): new for old in set().union(*others) if (new := _folded(old)) != old}
    mapped = pl.Series([text.translate(table) for text in others], dtype=pl.String)
    return plain.scatter((~ascii_only).arg_true(), mapped)


def folded_word(text: str) -> str:
    """Return one text as `folded` does."""
    return "".join(map(_folded, text))


def _folded(character: str) -> str:
    if character in _ASCII:
        return _ASCII[character]
    if unicodedata.category(character)[0] not in "LNM":
        return " "
    wide = unicodedata.normalize("NFKC", character)
    base = unicodedata.normalize("NFD", (wide if len(wide) == 1 else character).lower())[0]
    return base if base.isalnum() else character
