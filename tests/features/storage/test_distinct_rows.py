"""Distinct rows: as a dictionary of their bytes finds them, also where keys are equal by chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from features.storage import distinct_rows as module
from features.storage.distinct_rows import distinct_rows


def slow(rows: np.ndarray) -> tuple[list[int], list[int]]:
    first: dict[bytes, int] = {}
    for number, row in enumerate(rows):
        first.setdefault(row.tobytes(), number)
    order = {key: place for place, key in enumerate(first)}
    return list(first.values()), [order[row.tobytes()] for row in rows]


@pytest.mark.parametrize("keys", [None, "equal", "few"])
@given(st.integers(0, 2**16), st.integers(0, 40), st.integers(1, 5), st.sampled_from([1, 3, 1 << 16]))
@settings(max_examples=40, deadline=None)
def test_as_a_dictionary_finds_them(keys, seed, n, dim, chunk):
    rows = (np.random.default_rng(seed).integers(-1, 2, (n, dim)) / 8).astype(np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", chunk)
        if keys:  # keys that tell no rows apart, or hardly any
            patch.setattr(module, "_keys", lambda words: words[:, 0].astype(np.uint64) * (keys == "few"))
        first, place = distinct_rows(rows)
    assert (first.tolist(), place.tolist()) == slow(rows)
    assert place.dtype == np.int32


def test_floats_of_few_digits_have_keys_of_their_own():
    rows = np.unique(np.random.default_rng(0).integers(-8, 9, (50_000, 4)) / 8, axis=0).astype(np.float32)
    assert len(np.unique(module._keys(rows.view(np.uint32)))) == len(rows)


def test_zero_and_minus_zero_differ():
    assert distinct_rows(np.array([[0.0, 1.0], [-0.0, 1.0]], dtype=np.float32))[0].tolist() == [0, 1]
