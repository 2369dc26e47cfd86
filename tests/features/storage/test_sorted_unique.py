"""`sorted_unique` agrees with `numpy.unique`."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.storage.sorted_unique import sorted_unique


@given(st.lists(st.integers(-5, 5)))
def test_same_values_as_numpy(values: list[int]) -> None:
    array = np.array(values, dtype=np.int64)
    assert sorted_unique(array).tolist() == np.unique(array).tolist()


@pytest.mark.parametrize("dtype", [bool, np.int32, np.float32])
def test_keeps_the_dtype_and_flattens(dtype: type) -> None:
    array = np.array([[1, 0], [1, 1]], dtype=dtype)
    result = sorted_unique(array)
    assert (result.tolist(), result.dtype) == ([0, 1], array.dtype)
