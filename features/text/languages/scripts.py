"""The script that a text is written in: a catalogue in two scripts is in two languages at least."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from features.text.coverage import unread_texts

if TYPE_CHECKING:
    from tokenizers import Tokenizer

# Chinese and Japanese share characters, so that words of one match the other.
_LETTERS = {
    "Latin": r"\p{Latin}",
    "Chinese and Japanese": r"[\p{Han}\p{Hiragana}\p{Katakana}]",
    "Korean": r"\p{Hangul}",
    "Cyrillic": r"\p{Cyrillic}",
    "Greek": r"\p{Greek}",
    "Arabic": r"\p{Arabic}",
    "Hebrew": r"\p{Hebrew}",
    "Devanagari": r"\p{Devanagari}",
    "Thai": r"\p{Thai}",
}
SCRIPTS = tuple(_LETTERS)
LATIN, NO_SCRIPT = 0, -1
_OTHER = r"[\p{L}--\p{Latin}]"
_SHARE = 0.25  # of the letters from which a text is in another script than Latin: brands and units stay Latin in any language
LEAST = 20  # texts of a script: the mean of fewer vectors says little


def scripts_of(texts: pl.Series) -> np.ndarray:
    """Return the script of each text, index of `SCRIPTS`, int8 (n,); `NO_SCRIPT` for a text without letters or in a script not listed."""
    frame = pl.DataFrame({"text": texts}).with_row_index("row")
    lettered = pl.col("text").str.contains(r"\p{L}")
    code = frame.select(pl.when(lettered).then(LATIN).otherwise(NO_SCRIPT))[:, 0].to_numpy().astype(np.int8)
    others = frame.filter(pl.col("text").str.contains(_OTHER))  # the counts are costly, and most catalogues have none of these
    if not len(others):
        return code
    counts = others.select(pl.col("text").str.count_matches(pattern).alias(name) for name, pattern in _LETTERS.items()).to_numpy()
    letters = others["text"].str.count_matches(r"\p{L}").to_numpy()
    known = counts[:, 1:].max(axis=1) > 0
    found = np.where(known, counts[:, 1:].argmax(axis=1) + 1, NO_SCRIPT)
    code[others["row"].to_numpy()] = np.where(letters - counts[:, LATIN] >= _SHARE * letters, found, LATIN)
    return code


def script_of(text: str) -> int:
    """Return the script of one text, as `scripts_of`."""
    return int(scripts_of(pl.Series([text]))[0])


def scripts_beside_each_other(titles: pl.Series, tokenizer: Tokenizer) -> np.ndarray | None:
    """Return the script of each text of a catalogue that has several, int8 (n,); None where there is one.

    A script with few texts, and texts that the encoder cannot read, count as `NO_SCRIPT`: their vectors say nothing.
    """
    code = scripts_of(titles)
    if len(_large(code)) < 2:
        return None
    code[unread_texts(tokenizer, titles).to_numpy()] = NO_SCRIPT
    large = _large(code)
    return np.where(np.isin(code, large), code, NO_SCRIPT).astype(np.int8) if len(large) > 1 else None


def _large(code: np.ndarray) -> np.ndarray:
    found, counts = np.unique(code[code != NO_SCRIPT], return_counts=True)
    return found[counts >= LEAST]
