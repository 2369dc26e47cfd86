"""The data of `recsys benchmark intents`: what customers of a bank ask, and what they want."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.errors import DataError
from features.storage.digests import of_json
from recsys.offline.text_data import read_text_data

if TYPE_CHECKING:
    from pathlib import Path

FILE = "intents.parquet"
NAME = "banking77"
COLUMNS = ("utterance", "intent", "split")
THIRDS = 3


@dataclass(frozen=True)
class LabelledIntents:
    """Texts with their intents.

    Attributes
    ----------
    labels : row in `names`, int (n,).
    names : of the intents, sorted.
    test : whether a text belongs to the test part, bool (n,).
    """

    texts: list[str]
    labels: np.ndarray
    names: tuple[str, ...]
    test: np.ndarray

    @property
    def digest(self) -> str:
        """Digest of all texts, intents and parts."""
        return of_json([self.texts, self.labels.tolist(), self.names, self.test.tolist()])

    def rows(self, *, test: bool) -> np.ndarray:
        """Return the rows of a part, int (m,)."""
        return np.flatnonzero(self.test == test)

    def texts_of(self, rows: np.ndarray) -> list[str]:
        """Return the texts of some rows."""
        return [self.texts[int(i)] for i in rows]

    def draw(self, per_intent: int | None, number: int) -> np.ndarray:
        """Return so many training rows of each intent, drawn at random, int (m,); None for all."""
        train = self.rows(test=False)
        if per_intent is None:
            return train
        rng = np.random.default_rng([number, per_intent])
        return np.concatenate([rng.permutation(train[self.labels[train] == label])[:per_intent] for label in range(len(self.names))])

    def held_back(self, third: int) -> np.ndarray:
        """Return every third intent from the given one on, in the order of their names, int (m,)."""
        return np.arange(len(self.names))[third::THIRDS]


def read_intents(folder: Path) -> LabelledIntents:
    """Read the texts.

    Raises
    ------
    DataError
        If the file is missing, or lacks a column or a part.
    """
    frame, path = read_text_data(folder, NAME, FILE, COLUMNS)
    frame = frame.drop_nulls(COLUMNS)
    names = sorted(frame["intent"].unique().to_list())
    for part in ("train", "test"):
        if (frame["split"] == part).sum() == 0:
            raise DataError(f"{path} has no rows of the part {part}, expected train and test: give --data DIR")
    labels = frame["intent"].replace_strict(names, range(len(names))).to_numpy()
    return LabelledIntents(frame["utterance"].to_list(), labels.astype(np.int64), tuple(names), (frame["split"] == "test").to_numpy())
