"""The regression over vectors, and its arrays."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load, save

from features.text.intents.regression import Regression


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_what_is_stored_tells_the_same(classes: int) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(60) % classes
    vectors = (rng.normal(size=(classes, 5))[labels] + 0.1 * rng.normal(size=(60, 5))).astype(np.float32)
    fitted = Regression.fit(vectors, labels)
    assert (fitted.logits(vectors).argmax(axis=1) == labels).all()
    stored = Regression.of_arrays(load(save(fitted.to_arrays("own"))), "own")
    np.testing.assert_array_equal(stored.logits(vectors), fitted.logits(vectors))
