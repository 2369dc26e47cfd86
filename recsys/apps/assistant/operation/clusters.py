"""Groups questions by meaning, so that one answer serves all of a group."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from features.text.plain import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from recsys.dialogue.conversations import TurnRecord

ALIKE = 0.6  # mean cosine of two groups from which on they are one


@dataclass(frozen=True)
class QuestionCluster:
    """Questions that mean much the same.

    Attributes
    ----------
    question : the one nearest to all others.
    examples : the different wordings, most frequent first.
    turns : all of them.
    """

    question: str
    examples: tuple[str, ...]
    turns: tuple[TurnRecord, ...]

    @property
    def language(self) -> str | None:
        """The language that most of the questions are written in; None where it is not known."""
        known = Counter(turn.language for turn in self.turns if turn.language)
        return known.most_common(1)[0][0] if known else None


def wording(turn: TurnRecord) -> str:
    """Return a question's text; questions that differ in case and white space alone are one."""
    return plain(turn.question).casefold()


def clusters(turns: Sequence[TurnRecord], wordings: Sequence[str], vectors: np.ndarray) -> list[QuestionCluster]:
    """Group questions by average linkage of the cosine, largest group first.

    Parameters
    ----------
    wordings : the different texts of the questions, see `wording`.
    vectors : of unit norm, float32 (len(wordings), dim).
    """
    groups = _groups(vectors)
    place = {text: row for row, text in enumerate(wordings)}
    found = []
    for group in np.unique(groups):
        members = [turn for turn in turns if groups[place[wording(turn)]] == group]
        counts = Counter(wording(turn) for turn in members)
        rows = [place[text] for text in counts]
        weights = np.array([counts[wordings[row]] for row in rows], dtype=np.float32)
        central = wordings[rows[int(np.argmax(vectors[rows] @ (weights @ vectors[rows])))]]
        shown = {wording(turn): plain(turn.question) for turn in reversed(members)}  # the latest spelling
        examples = tuple(shown[text] for text, _ in counts.most_common())
        found.append(QuestionCluster(shown[central], examples, tuple(members)))
    return sorted(found, key=lambda one: -len(one.turns))


def _groups(vectors: np.ndarray) -> np.ndarray:
    """Return the group of each row."""
    if len(vectors) < 2:
        return np.zeros(len(vectors), dtype=np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage  # only a page needs it

    distances = np.clip(1 - vectors @ vectors.T, 0, None)[np.triu_indices(len(vectors), 1)]
    return fcluster(linkage(distances, "average"), 1 - ALIKE, "distance")
