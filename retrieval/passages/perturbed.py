"""Questions as hurried customers write them: shortened, in other order, with slips of the fingers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrieval.lexical.spelling import NEIGHBOURS

if TYPE_CHECKING:
    from collections.abc import Sequence

LEAST_LETTERS = 4  # of a word that gets a slip
KEPT = (0.4, 0.8)  # share of the words that a shortened question keeps


def shortened(question: str, random: np.random.Generator) -> str:
    """Return a question that keeps some of its words, in their order."""
    words = question.split()
    kept = max(2, round(len(words) * random.uniform(*KEPT)))
    if kept >= len(words):
        return question
    return " ".join(words[place] for place in sorted(random.choice(len(words), kept, replace=False)))


def misspelt(question: str, random: np.random.Generator) -> str:
    """Return a question with a slip in one of its longer words: letters swapped, one lost, one doubled, or a key aside."""
    words = question.split()
    long = [place for place, word in enumerate(words) if sum(map(str.isalpha, word)) >= LEAST_LETTERS]
    if not long:
        return question
    place = int(random.choice(long))
    words[place] = _slip(words[place], random)
    return " ".join(words)


def _slip(word: str, random: np.random.Generator) -> str:
    at = int(random.integers(1, max(2, len(word) - 2)))
    kind = int(random.integers(4))
    if kind == 0:
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if kind == 1:
        return word[:at] + word[at + 1 :]
    if kind == 2:
        return word[:at] + word[at] + word[at:]
    keys = NEIGHBOURS.get(word[at].lower(), word[at])
    return word[:at] + keys[int(random.integers(len(keys)))] + word[at + 1 :]


def own_questions(questions: Sequence[str], seed: int) -> tuple[list[str], np.ndarray]:
    """Return, for each question, four ways to ask it, and the places of the questions that they are of, int64 (m,)."""
    random = np.random.default_rng(seed)
    texts, places = [], []
    for place, question in enumerate(questions):
        if question.strip():
            short = [shortened(question, random) for _ in range(2)]
            texts += [*short, misspelt(question, random), misspelt(short[0], random)]
            places += [place] * 4
    return texts, np.array(places, dtype=np.int64)
