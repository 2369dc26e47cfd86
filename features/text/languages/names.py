"""Codes of languages (ISO 639-1) and the ways to write them."""

from __future__ import annotations

import polars as pl

# Code, the English name, and what speakers call it. The English name is the one that stemmers and stop words go by.
_NAMES = """
ar arabic العربية
ca catalan català
cs czech čeština
da danish dansk
de german deutsch allemand alemán tedesco
el greek ελληνικά
en english englisch anglais inglés inglese
es spanish español castellano spanisch espagnol
eo esperanto
et estonian eesti
eu basque euskara
fa persian فارسی
fi finnish suomi
fr french français französisch
ga irish gaeilge
hi hindi हिन्दी
hu hungarian magyar
hy armenian հայերեն
id indonesian indonesia
it italian italiano italienisch
ja japanese 日本語
ko korean 한국어
lt lithuanian lietuvių
ne nepali नेपाली
nl dutch nederlands niederländisch
no norwegian norsk nb nn
pl polish polski polnisch
pt portuguese português portugiesisch
ro romanian română
ru russian русский russisch
sr serbian српски srpski
st sesotho
sv swedish svenska
ta tamil தமிழ்
th thai ไทย
tr turkish türkçe türkisch
uk ukrainian українська
vi vietnamese
yi yiddish ייִדיש
zh chinese 中文 chinesisch
"""
_ROWS = [line.split() for line in _NAMES.split("\n") if line]
ENGLISH_NAMES: dict[str, str] = {code: name for code, name, *_ in _ROWS}
CODES: dict[str, str] = {word: row[0] for row in _ROWS for word in row}


def language_code(text: str) -> str:
    """Return the code of a language that is given by code, tag ("de-AT", "pt_BR") or name; empty if it is none of those known."""
    plain = text.strip().lower()
    return CODES.get(plain) or CODES.get(plain.replace("_", "-").split("-")[0], "")


def language_codes(texts: pl.Series) -> pl.Series:
    """Return the code of each text; see `language_code`. Null stays null."""
    return texts.replace_strict({text: language_code(text) for text in texts.drop_nulls().unique()}, return_dtype=pl.String)
