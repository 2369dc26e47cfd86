"""What a shop's help pages say: questions, their answers, and where each stands."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Self

import numpy as np
import polars as pl

from features.errors import DataError
from features.names import ANSWER, LANGUAGE, LINK, QUESTION, ROW, TAGS
from features.storage.columns import check_columns
from features.storage.digests import of_strings
from features.text.languages.names import ENGLISH_NAMES

if TYPE_CHECKING:
    from collections.abc import Sequence

# Canonical columns of help pages. The first two are required.
HELP_COLUMNS: dict[str, pl.DataType] = {
    QUESTION: pl.String(),
    ANSWER: pl.String(),
    TAGS: pl.String(),
    LANGUAGE: pl.String(),
    LINK: pl.String(),
    ROW: pl.Int64(),
}
_TEXTS = (QUESTION, ANSWER, TAGS, LANGUAGE, LINK)


@dataclass(frozen=True, eq=False)
class HelpPages:
    """Entries of a shop's help pages, in the order of the source.

    Attributes
    ----------
    question, answer : String (n,)
        Never empty.
    tags : String (n,)
        Other words for it, with commas between them; empty where there are none.
    language : String (n,)
        ISO 639-1 code; empty where it is unknown.
    link : String (n,)
        Where the entry can be read; empty where it is unknown.
    row : int64 (n,)
        Row in the shop's file, or number of the entry in a folder of pages.

    Raises
    ------
    DataError
        If the columns differ in length or type, a question or an answer is empty, or a language is no known code.
    """

    question: pl.Series
    answer: pl.Series
    tags: pl.Series
    language: pl.Series
    link: pl.Series
    row: np.ndarray

    def __post_init__(self) -> None:
        check_columns(self, {ROW: np.int64}, (len(self),), "the help pages", "use HelpPages.of")
        for name in _TEXTS:
            texts = getattr(self, name)
            if texts.dtype != pl.String or len(texts) != len(self) or texts.null_count():
                found = f"{len(texts)} of {texts.dtype}, {texts.null_count()} of them null"
                raise DataError(f"{name} of the help pages is {found}, expected {len(self)} strings: use HelpPages.of")
        for name in (QUESTION, ANSWER):
            if empty := int((getattr(self, name).str.strip_chars() == "").sum()):
                raise DataError(f"{name} is empty in {empty:,} of {len(self):,} help pages: run `recsys ingest` on them first")
        strange = self.language.filter(~self.language.is_in(["", *ENGLISH_NAMES]))
        if len(strange):
            raise DataError(
                f"a language of the help pages is {strange[0]!r}, expected a code such as 'en': run `recsys ingest` on them first"
            )

    @classmethod
    def of(cls, frame: pl.DataFrame) -> Self:
        """Convert canonical rows; a column that may be absent is empty then.

        Raises
        ------
        DataError
            If a required column is missing, or the rows are no valid help pages.
        """
        if missing := [name for name in (QUESTION, ANSWER) if name not in frame.columns]:
            raise DataError(f"the help pages lack {' and '.join(missing)}; found {frame.columns}: map your names in recsys.toml")
        table = frame.select(
            (pl.col(name).cast(kind) if name in frame.columns else pl.lit(None, kind)).fill_null("" if kind == pl.String else 0).alias(name)
            for name, kind in HELP_COLUMNS.items()
        )
        return cls(**{name: table[name] for name in _TEXTS}, row=table[ROW].to_numpy())

    def __len__(self) -> int:
        return len(self.question)

    @property
    def digest(self) -> str:
        """SHA-256 of the entries, 64 hex digits."""
        digest = hashlib.sha256(np.ascontiguousarray(self.row).tobytes())
        for name in _TEXTS:
            digest.update(of_strings(getattr(self, name).to_list()))
        return digest.hexdigest()

    @property
    def frame(self) -> pl.DataFrame:
        """The entries as a table of `HELP_COLUMNS`."""
        return pl.DataFrame({one.name: getattr(self, one.name) for one in fields(self)}, schema=HELP_COLUMNS)

    def take(self, places: Sequence[int] | np.ndarray) -> Self:
        """Select entries by their places."""
        at = np.asarray(places, dtype=np.int64)
        return replace(self, **{name: getattr(self, name).gather(at) for name in _TEXTS}, row=self.row[at])
