"""Help pages of a made shop, a grocer who also sells household goods, and what its customers ask: all written for this project.

40 entries are in English and 40 in German. Each has five questions as customers put them, the last of the five with typing errors.
60 questions more are answered by no entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING

import polars as pl

from features.data.help_pages import HelpPages
from features.names import LANGUAGE, LINK, TEXT

if TYPE_CHECKING:
    import numpy as np

TYPING_ERRORS = "typing_errors"


@dataclass(frozen=True)
class HelpShop:
    """The shop.

    Attributes
    ----------
    pages : the help pages.
    questions : of customers: `text`, `language`, `typing_errors` and `row`, the entry that answers.
    unanswered : questions that no entry answers: `text`, `language`.
    """

    pages: HelpPages
    questions: pl.DataFrame
    unanswered: pl.DataFrame

    @classmethod
    def load(cls) -> HelpShop:
        """Read the packaged files."""
        pages = _table("pages")
        row_of = dict(zip(pages[LINK].to_list(), range(pages.height), strict=True))
        questions = _table("questions")
        rows = questions[LINK].replace_strict(row_of, return_dtype=pl.Int64)
        return cls(
            HelpPages.of(pages.with_row_index("row", 1)),
            questions.select(TEXT, LANGUAGE, TYPING_ERRORS, row=rows),
            _table("unanswered").select(TEXT, LANGUAGE),
        )

    @property
    def answers(self) -> np.ndarray:
        """The entry that answers each of `questions`, int64 (n,)."""
        return self.questions["row"].to_numpy()


def _table(name: str) -> pl.DataFrame:
    return pl.read_ndjson(files("eval.simulation.help_shop").joinpath(f"{name}.jsonl").read_bytes())
