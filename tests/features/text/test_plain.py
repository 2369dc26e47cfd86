"""Numbers agree with their nouns."""

from __future__ import annotations

import pytest

from features.text.plain import agree, counted


@pytest.mark.parametrize(
    ("n", "plural", "text"),
    [
        (0, None, "0 rows"),
        (1, None, "1 row"),
        (2, None, "2 rows"),
        (1200, None, "1,200 rows"),
        (1, "lines", "1 row"),
        (3, "lines", "3 lines"),
    ],
)
def test_a_number_has_its_noun(n: int, plural: str | None, text: str) -> None:
    assert counted(n, "row", plural) == text


def test_only_one_takes_the_singular() -> None:
    assert [agree(n, "is", "are") for n in (0, 1, 2, 11)] == ["are", "is", "are", "are"]
