"""The reward model of the direct method and of doubly robust estimation: mean rewards of cells."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PRIOR = 1.0  # rows with the place's mean reward that every cell starts with


@dataclass(frozen=True)
class RewardModel:
    """Mean reward of each cell, shrunk to its place's mean by `PRIOR` rows.

    A cell is a combination of item, place and context.

    Attributes
    ----------
    mean : float (cells,), nan for a cell without rows
    count : float (cells,), rows with the prior
    place : float (places,), mean reward of each position
    """

    mean: np.ndarray
    count: np.ndarray
    place: np.ndarray

    @classmethod
    def fit(cls, position: np.ndarray, cell: np.ndarray, reward: np.ndarray, places: int, cells: int) -> RewardModel:
        """Fit on rows of a log.

        Parameters
        ----------
        position : int64 (n,), from 0
        cell : int64 (n,)
        reward : float (n,)
        places, cells : how many there are of each, with rows or not
        """
        n = np.bincount(position, minlength=places)
        place = np.bincount(position, weights=reward, minlength=places) / np.maximum(n, 1)
        count = np.bincount(cell, minlength=cells)
        total = np.bincount(cell, weights=reward + PRIOR * place[position] / np.maximum(count[cell], 1), minlength=cells)
        mean = np.where(count > 0, total / (count + PRIOR), np.nan)
        return cls(mean, count + PRIOR, place)

    def __call__(self, cell: np.ndarray, position: np.ndarray) -> np.ndarray:
        """Return the expected reward of rows, float (n,); a cell without rows gets its place's mean."""
        expected = self.mean[cell]
        return np.where(np.isnan(expected), self.place[position], expected)
