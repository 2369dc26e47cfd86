"""Runs that two versions of a file have in common."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.storage.common_runs import LEAST, common_runs


def shared(old: bytes, new: bytes) -> float:
    """The share of the new bytes in runs, after checking that these are what they say."""
    runs = common_runs(old, new)
    at = before = 0
    for begin, begin_before, length in runs.tolist():
        assert begin >= at
        assert begin_before >= before
        assert length >= LEAST
        assert new[begin : begin + length] == old[begin_before : begin_before + length]
        at, before = begin + length, begin_before + length
    return int(runs[:, 2].sum()) / len(new) if new else 1.0


@settings(max_examples=200, deadline=None)
@given(
    old=st.binary(max_size=4_000),
    edits=st.lists(st.tuples(st.integers(0, 4_000), st.integers(0, 400), st.binary(max_size=900)), max_size=6),
)
def test_runs_are_equal_and_ascend(old: bytes, edits: list[tuple[int, int, bytes]]) -> None:
    new = old * 3
    for place, removed, added in edits:
        new = new[:place] + added + new[place + removed :]
    shared(old, new)
    shared(new, old)
    shared(old * 50, new)


ROWS, TEXT = 20_000, 8  # rows of a text


def edited(rows: np.ndarray, kind: str, rng: np.random.Generator) -> np.ndarray:
    """Rows of which 1% of the texts were replaced in place, or removed and inserted elsewhere, as a sort by hashes does."""
    texts = rows.reshape(-1, TEXT, rows.shape[1]).copy()
    chosen = rng.choice(len(texts), len(texts) // 100, replace=False)
    fresh = rng.standard_normal((len(chosen), *texts.shape[1:])).astype(rows.dtype)
    if kind == "replaced":
        texts[chosen] = fresh
        return texts
    return np.insert(np.delete(texts, chosen, axis=0), rng.integers(0, len(texts) - len(chosen), len(chosen)), fresh, axis=0)


@pytest.mark.parametrize("kind", ["replaced", "moved"])
@pytest.mark.parametrize("width", [16, 96])
def test_rows_around_a_change_are_shared_wherever_they_are(kind: str, width: int) -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((ROWS, width)).astype(np.float32)
    assert shared(rows.tobytes(), edited(rows, kind, rng).tobytes()) > 0.985


def test_a_row_in_each_of_several_columns() -> None:
    rng = np.random.default_rng(0)
    columns = [np.sort(rng.integers(0, 3_000, 100_000)).astype("i4"), rng.integers(0, 99, 100_000).astype("i8"), rng.random(100_000)]
    old, new = (b"".join(one.tobytes() for one in some) for some in (columns, [np.insert(one, 40_000, one[7]) for one in columns]))
    assert shared(old, new) > 0.98


@pytest.mark.parametrize(("old", "new"), [(b"", b""), (b"", b"a"), (b"a", b""), (b"a" * 99, b"a" * 99)])
def test_what_is_too_short_has_no_run(old: bytes, new: bytes) -> None:
    assert len(common_runs(old, new)) == 0


def test_the_same_and_all_zeros_are_one_run() -> None:
    for content in (np.random.default_rng(0).bytes(3_000_000), bytes(3_000_000)):
        assert common_runs(content, content).tolist() == [[0, 0, len(content)]]
