"""Runs of letters: what compounds ("Versandkosten", "Kosten des Versands") and misspelt words share with a passage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array

from retrieval.lexical.catalogue_words import name_words

if TYPE_CHECKING:
    from collections.abc import Sequence

SHORTEST, LONGEST = 3, 5  # letters of a run


def grams_of(text: str) -> list[str]:
    """Return the runs of letters within the words of a text; a space stands for the begin and the end of a word."""
    runs: list[str] = []
    for word in name_words(text):
        padded = f" {word} "
        for size in range(SHORTEST, LONGEST + 1):
            runs += [padded[i : i + size] for i in range(len(padded) - size + 1)]
    return runs


@dataclass(frozen=True)
class GramIndex:
    """Runs of letters of the passages.

    Attributes
    ----------
    column_of : column of each run.
    rarity : inverse document frequency of each run, float32 (n_runs,).
    asked : of question and tags, TF-IDF of unit norm, csr float32 (n, n_runs).
    held : whether question, tags or answer hold a run, csr float32 (n, n_runs).
    """

    column_of: dict[str, int]
    rarity: np.ndarray
    asked: csr_array
    held: csr_array

    @classmethod
    def build(cls, asked: Sequence[str], answers: Sequence[str]) -> GramIndex:
        """Build the index of n passages from their questions with tags, and their answers."""
        of_asked = [grams_of(text) for text in asked]
        of_all = [dict.fromkeys([*runs, *grams_of(text)]) for runs, text in zip(of_asked, answers, strict=True)]
        column_of = {run: column for column, run in enumerate(dict.fromkeys(run for runs in of_all for run in runs))}
        held = _counted(of_all, column_of)
        rarity = np.log((1 + len(of_all)) / (1 + np.bincount(held.indices, minlength=len(column_of)))).astype(np.float32) + 1
        return cls(column_of, rarity, _unit(_counted(of_asked, column_of), rarity), held)

    def evidence(self, question: str) -> tuple[np.ndarray, np.ndarray]:
        """Return of each passage the cosine with the runs of a question, and the share of them that it holds, float32 (n,) each."""
        runs = grams_of(question)
        known = [run for run in runs if run in self.column_of]
        if not known:
            return np.zeros(self.held.shape[0], np.float32), np.zeros(self.held.shape[0], np.float32)
        counts = np.zeros(len(self.column_of), np.float32)
        np.add.at(counts, [self.column_of[run] for run in known], 1)
        weights = np.log1p(counts) * self.rarity
        # A run that no passage has is as rare as can be.
        rarest = float(np.log1p(self.held.shape[0])) + 1
        unknown = len({run for run in runs if run not in self.column_of}) * rarest
        present = (counts > 0) * self.rarity
        norm = float(np.sqrt((weights**2).sum() + unknown * rarest * np.log(2) ** 2))
        return (self.asked @ (weights / norm)).astype(np.float32), (self.held @ (present / (present.sum() + unknown))).astype(np.float32)


def _counted(texts: Sequence[Sequence[str] | dict[str, None]], column_of: dict[str, int]) -> csr_array:
    columns = [column_of[run] for runs in texts for run in runs]
    ends = np.concatenate([[0], np.cumsum([len(runs) for runs in texts])]).astype(np.int64)
    counts = csr_array((np.ones(len(columns), np.float32), np.array(columns, dtype=np.int32), ends), shape=(len(texts), len(column_of)))
    counts.sum_duplicates()
    return counts


def _unit(counts: csr_array, rarity: np.ndarray) -> csr_array:
    weighted = counts.copy()
    weighted.data = np.log1p(weighted.data) * rarity[weighted.indices]
    norms = np.sqrt(np.asarray((weighted**2).sum(axis=1)).ravel())
    weighted.data /= np.maximum(np.repeat(norms, np.diff(weighted.indptr)), 1e-9).astype(np.float32)
    return weighted
