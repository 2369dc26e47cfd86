"""The left side of the cross-encoder's pairs, as arrays: token states of a history, a query or a question."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LeftSide:
    """Token states of b left sides, each of up to n texts.

    Attributes
    ----------
    states : float32 (b, n, M, width); padding is arbitrary.
    mask : whether a token is real, bool (b, n, M).
    age, count : bucket codes of each text, int64 (b, n); 0 for queries and questions.
    """

    states: np.ndarray
    mask: np.ndarray
    age: np.ndarray
    count: np.ndarray

    def tokens_of(self, row: int) -> dict[str, np.ndarray]:
        """Return one left side as inputs of the graph, each token as a text of its own, so that nothing is padded.

        A left side without tokens gets one masked token: attention over no tokens is undefined.
        """
        mask = self.mask[row]  # (n, M)
        real = mask if mask.any() else np.arange(mask.size).reshape(mask.shape) == 0
        text = np.nonzero(real)[0]  # (H,)
        return {
            "history": self.states[row][real][None, :, None],
            "seen": mask[real][None, :, None],
            "age": self.age[row, text][None],
            "count": self.count[row, text][None],
        }
