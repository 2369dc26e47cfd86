"""The data of `recsys benchmark reviews` and `reviews-zh`: reviews with stars, and Chinese reviews with a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import polars as pl

from features.errors import DataError
from features.storage.digests import of_json
from features.text.sentiment.labels import NEGATIVE, POSITIVE, label_of_rating

if TYPE_CHECKING:
    from pathlib import Path

Language = Literal["en", "zh"]
FILES = {"en": "womens_clothing_reviews/reviews.parquet", "zh": "zh_reviews/sentiment.parquet"}
_COLUMNS = {"en": ("title", "text", "rating", "split"), "zh": ("text", "label", "split")}
PARTS = ("train", "valid", "test")


@dataclass(frozen=True)
class LabelledReviews:
    """Reviews with their classes.

    Attributes
    ----------
    labels : int (n,).
    part : "train", "valid" or "test" of each review, str (n,).
    """

    texts: list[str]
    labels: np.ndarray
    part: np.ndarray

    @property
    def digest(self) -> str:
        """Digest of all reviews and their classes."""
        return of_json([self.texts, self.labels.tolist(), self.part.tolist()])

    def rows(self, part: str) -> np.ndarray:
        """Return the rows of a part, int (m,)."""
        return np.flatnonzero(self.part == part)

    def texts_of(self, rows: np.ndarray) -> list[str]:
        """Return the texts of some rows."""
        return [self.texts[int(i)] for i in rows]

    def draw(self, per_class: int, number: int) -> np.ndarray:
        """Return so many training rows of each class, drawn at random, int (m,)."""
        rng = np.random.default_rng([number, per_class])
        train = self.rows("train")
        return np.concatenate([rng.permutation(train[self.labels[train] == label])[:per_class] for label in np.unique(self.labels)])


def read_reviews(folder: Path, language: Language) -> LabelledReviews:
    """Read the reviews of a language; an English text is title and text together.

    Raises
    ------
    DataError
        If the file is missing, or lacks a column or a part.
    """
    path = folder / FILES[language]
    if not path.is_file():
        raise DataError(f"{folder} does not hold {FILES[language]}: give --data DIR")
    frame = pl.read_parquet(path)
    if missing := [name for name in _COLUMNS[language] if name not in frame.columns]:
        raise DataError(f"{path} has no column {missing[0]}, expected {', '.join(_COLUMNS[language])}: give --data DIR")
    if absent := [part for part in PARTS if not (frame["split"] == part).any()]:
        raise DataError(f"{path} has no rows of the part {absent[0]}, expected {', '.join(PARTS)}: give --data DIR")
    if language == "zh":
        labels = np.where(frame["label"].to_numpy() > 0, POSITIVE, NEGATIVE)
        return LabelledReviews(frame["text"].to_list(), labels, frame["split"].to_numpy())
    texts = frame.select(pl.concat_str("title", "text", separator=". ", ignore_nulls=True))["title"]
    return LabelledReviews(texts.to_list(), label_of_rating(frame["rating"].to_list()), frame["split"].to_numpy())
