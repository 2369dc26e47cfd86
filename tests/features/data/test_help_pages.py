"""The table of help pages."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from features.data.help_pages import HELP_COLUMNS, HelpPages
from features.errors import DataError

FRAME = pl.DataFrame({"question": ["How much?", "Wo?"], "answer": ["Four.", "Hier."], "language": ["en", "de"], "row": [3, 1]})


def test_absent_columns_are_empty_and_the_order_stays() -> None:
    pages = HelpPages.of(FRAME)
    assert pages.question.to_list() == ["How much?", "Wo?"]
    assert pages.tags.to_list() == pages.link.to_list() == ["", ""]
    assert pages.row.tolist() == [3, 1]
    assert pages.frame.schema == pl.Schema(HELP_COLUMNS)
    assert HelpPages.of(pages.frame).digest == pages.digest


def test_entries_are_taken_by_their_places() -> None:
    pages = HelpPages.of(FRAME)
    assert pages.take([1]).answer.to_list() == ["Hier."]
    assert len(pages.take([])) == 0
    assert pages.take([1, 0]).digest != pages.digest


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"question": pl.Series(["a", " "])}, "question is empty in 1 of 2"),
        ({"answer": pl.Series(["", ""])}, "answer is empty in 2 of 2"),
        ({"tags": pl.Series(["a", None])}, "1 of them null"),
        ({"link": pl.Series(["a"])}, "expected 2 strings"),
        ({"language": pl.Series(["en", "klingon"])}, "'klingon', expected a code"),
        ({"row": np.array([1.0, 2.0])}, "row of the help pages is float64"),
    ],
)
def test_what_is_no_table_of_help_pages_is_refused(change: dict, said: str) -> None:
    with pytest.raises(DataError, match=said):
        replace(HelpPages.of(FRAME), **change)


def test_a_missing_column_is_named() -> None:
    with pytest.raises(DataError, match="the help pages lack answer; found"):
        HelpPages.of(FRAME.drop("answer"))
