"""Texts that the encoder cannot read: its vocabulary lacks their words, or holds only the single letters of their script.

An English vocabulary has no Thai, and of Russian or Korean no more than the letters: such texts get nearly the same vector, or one of
their spelling. Latin letters are not judged, because shops write part numbers with them.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import polars as pl

from features.text.template import item_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tokenizers import Encoding, Tokenizer

    from features.data.catalog import Catalog

_NOT_ASCII = r"[\p{L}--[a-zA-Z]]"
UNKNOWN = ("[UNK]", "<unk>")
# Scripts whose single characters are syllables or words, so that a piece of one character is no spelling. An English vocabulary has some
# of them by chance: 488 of its 30,522 pieces.
_WHOLE = ("CJK UNIFIED", "HANGUL SYLLABLE", "HIRAGANA", "KATAKANA")
# Of each tokenizer in use, those that it has whole: counting reads its whole vocabulary, 0.1 s, and a conversation asks at each message.
_whole_of: WeakKeyDictionary[Tokenizer, frozenset[str]] = WeakKeyDictionary()
_MANY, _SHARE = 1_000, 0.03
_BATCH = 10_000  # words tokenized at once
SHOWN = 40  # characters of the example


COVERAGE = "coverage"  # of a bundle's manifest
ADVICE = "set encoder.model to a multilingual one, docs/configuration.md"


@dataclass(frozen=True)
class Coverage:
    """How many of a catalogue's texts the encoder can read.

    Attributes
    ----------
    texts : int
        Number of distinct texts.
    unread : int
        Those of whose letters more than half are in words that the encoder cannot read.
    item, example : str
        The first such item and the beginning of its text.
    """

    texts: int
    unread: int
    item: str = ""
    example: str = ""

    def __str__(self) -> str:
        of = f"{self.unread:,} of {self.texts:,} texts hold mostly words that the encoder cannot read"
        return f"{of} (e.g. item {self.item}, {self.example!r})" if self.unread else f"the encoder can read all {self.texts:,} texts"

    @classmethod
    def stored(cls, about: Mapping[str, Any]) -> Coverage:
        """Return the coverage that a bundle's manifest tells; bundles of earlier versions tell none."""
        return cls(**about.get(COVERAGE, {"texts": about.get("texts", 0), "unread": 0}))

    @property
    def notes(self) -> tuple[str, ...]:
        """What to tell the user, if anything."""
        return (f"note: {self}: {ADVICE}",) if self.unread else ()


def coverage(tokenizer: Tokenizer, catalog: Catalog) -> Coverage:
    """Return the coverage of the items' texts by the tokenizer's vocabulary.

    Only distinct words with letters outside of ASCII are tokenized.
    """
    frame = pl.DataFrame({"text": item_texts(catalog)}).with_row_index("item").unique("text", keep="first", maintain_order=True)
    found = frame.filter(unread_texts(tokenizer, frame["text"]))
    if not len(found):
        return Coverage(len(frame), 0)
    first, text = found.row(0)
    return Coverage(len(frame), len(found), str(catalog.ids[first]), text[:SHOWN])


def unread_texts(tokenizer: Tokenizer, texts: pl.Series) -> pl.Series:
    """Return whether more than half of a text's letters are in words that the vocabulary cannot read, Boolean (n,)."""
    frame = pl.DataFrame({"text": texts}).with_row_index("row")
    suspects = frame.filter(pl.col("text").str.contains(_NOT_ASCII))
    words = suspects.select("row", word=pl.col("text").str.split(" ")).explode("word").filter(pl.col("word").str.contains(_NOT_ASCII))
    if not len(words):
        return pl.repeat(value=False, n=len(frame), dtype=pl.Boolean, eager=True)
    distinct = words["word"].unique().to_list()
    vocabulary = _Vocabulary(tokenizer)
    unread: list[int] = []
    for start in range(0, len(distinct), _BATCH):
        batch = distinct[start : start + _BATCH]
        unread += map(vocabulary.unread_letters, batch, tokenizer.encode_batch(batch))
    of_word = pl.DataFrame({"word": distinct, "unread": pl.Series(unread, dtype=pl.Int64)})
    of_row = words.join(of_word, on="word").group_by("row").agg(pl.col("unread").sum())
    found = suspects.join(of_row, on="row").filter(pl.col("unread") * 2 > pl.col("text").str.count_matches(r"\p{L}"))
    return frame["row"].is_in(found["row"].implode())


@dataclass
class _Vocabulary:
    """A tokenizer's pieces: which are read, and which merely spell."""

    tokenizer: Tokenizer
    unknown: int | None = field(init=False)
    whole: frozenset[str] = field(init=False)
    known: dict[int, bool | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found = (self.tokenizer.token_to_id(name) for name in UNKNOWN)
        self.unknown = next((number for number in found if number is not None), None)
        if self.tokenizer not in _whole_of:
            _whole_of[self.tokenizer] = self._whole_scripts()
        self.whole = _whole_of[self.tokenizer]

    def unread_letters(self, word: str, encoding: Encoding) -> int:
        """Return how many letters of a word are in unknown or spelling pieces."""
        unread = last = 0
        for number, (begin, end) in zip(encoding.ids, encoding.offsets, strict=True):
            reads = self._reads(number)
            if reads is None or end <= last:  # a mark of a word's beginning, or another part of the same letter
                continue
            unread += 0 if reads else sum(map(str.isalpha, word[max(begin, last) : end]))
            last = end
        # A single letter is a unit (220 Ω), unless letters are syllables or words.
        return unread if unread != 1 or any(_script(letter) in _WHOLE for letter in word) else 0

    def _reads(self, number: int) -> bool | None:
        """Return whether a piece is more than a single letter; None if it is no text at all."""
        if number not in self.known:
            piece = self._text(number)
            spells = number == self.unknown or (len(piece) == 1 and _script(piece) not in {"LATIN", *self.whole})
            self.known[number] = not spells if piece else None
        return self.known[number]

    def _text(self, number: int) -> str:
        piece = self.tokenizer.id_to_token(number) or ""
        if self.tokenizer.decoder is not None:  # bytes become letters
            piece = self.tokenizer.decoder.decode([piece])
        return piece.removeprefix("##").strip("▁ ")

    def _whole_scripts(self) -> frozenset[str]:
        size = self.tokenizer.get_vocab_size()
        counts = dict.fromkeys(_WHOLE, 0)
        for number in range(size):
            piece = self._text(number)
            if piece and piece[0] > "\u3000" and (script := _script(piece[0])) in counts:
                counts[script] += 1
        return frozenset(script for script, count in counts.items() if count > min(_MANY, _SHARE * size))


def _script(letter: str) -> str:
    name = unicodedata.name(letter, "")
    return next((script for script in _WHOLE if name.startswith(script)), name.split(" ")[0])
