"""Search among passages: for a question in words, the passages that answer it, and how probable it is that the best one does.

Words (BM25, spelling mended), runs of letters, and the cosine of text vectors are weighted and summed, all passages at a time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl

from features.names import ANSWER, QUESTION, TAGS
from retrieval.passages.calibration import LEAST, AnswerCalibration
from retrieval.passages.config import PassageConfig
from retrieval.passages.grams import GramIndex
from retrieval.passages.perturbed import own_questions
from retrieval.passages.pieces import pieces_of
from retrieval.passages.words import PassageWords
from retrieval.topk import top_k

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

EVIDENCE = ("words", "grams", "held_grams", "question", "answer", "language")


class Passages(Protocol):
    """Passages, such as `features.data.help_pages.HelpPages`: columns of strings without nulls, all of one length.

    Attributes
    ----------
    question : what the passage answers; empty where it is a text alone.
    answer, tags : the text, and other words for it.
    language : ISO 639-1 code; empty where it is unknown.
    """

    @property
    def question(self) -> pl.Series: ...
    @property
    def answer(self) -> pl.Series: ...
    @property
    def tags(self) -> pl.Series: ...
    @property
    def language(self) -> pl.Series: ...


class PassageEncoder(Protocol):
    """A text encoder."""

    def encode(self, texts: Sequence[str], kind: str = "passage") -> np.ndarray:
        """Return vectors of unit norm, float32 (n, dim)."""
        ...


@dataclass(frozen=True)
class FoundPassages:
    """Passages for n questions, at most k for each.

    Attributes
    ----------
    rows : of the passages, best first, int64 (n, k); -1 where there are no more.
    scores : comparable within a question, float32 (n, k).
    answers : calibrated probability that the best passage answers the question, float32 (n,); 0 where no passage was found.
    read : each question with its misspelt words mended.
    """

    rows: np.ndarray
    scores: np.ndarray
    answers: np.ndarray
    read: tuple[str, ...]


@dataclass(frozen=True)
class PassageIndex:
    """An index over n passages.

    Attributes
    ----------
    passages : Passages
    encoder : of questions and passages.
    words : of the passages of each language.
    grams : of all.
    question_vectors : of the passages' questions, float32 (n, dim); zeros where a passage has none.
    piece_vectors : of pieces of the answers, float32 (p, dim).
    piece_starts : first piece of each passage, int64 (n,).
    calibration : None where there are too few passages to calibrate on.
    pairs : cross-encoder, which gives logits for a question and texts of passages; None for none.
    """

    passages: Passages
    encoder: PassageEncoder
    config: PassageConfig
    words: tuple[PassageWords, ...]
    grams: GramIndex
    question_vectors: np.ndarray
    piece_vectors: np.ndarray
    piece_starts: np.ndarray
    calibration: AnswerCalibration | None = None
    pairs: Callable[[str, Sequence[str]], np.ndarray] | None = None

    @classmethod
    def of(
        cls,
        passages: Passages,
        encoder: PassageEncoder,
        config: PassageConfig | None = None,
        *,
        real_words: frozenset[str] = frozenset(),
        pairs: Callable[[str, Sequence[str]], np.ndarray] | None = None,
        seed: int = 0,
    ) -> PassageIndex:
        """Build the index, and calibrate it on the passages' own questions.

        Parameters
        ----------
        real_words : words that are no misspellings although no passage has them, see `SpellChecker`.
        pairs : cross-encoder over a question and texts of passages, which gives their logits.
        seed : of the shortened and misspelt questions that calibrate it.
        """
        config = config or PassageConfig()
        index = replace(cls._built(passages, encoder, config, real_words), pairs=pairs)
        return replace(index, calibration=index._calibrated(seed))

    @classmethod
    def _built(cls, passages: Passages, encoder: PassageEncoder, config: PassageConfig, real_words: frozenset[str]) -> PassageIndex:
        fields = pl.DataFrame({QUESTION: passages.question, TAGS: passages.tags, ANSWER: passages.answer})
        words = []
        for language in passages.language.unique().sort().to_list():
            rows = (passages.language == language).arg_true().to_numpy().astype(np.int64)
            words.append(PassageWords.build(language, rows, fields[rows], config, real_words))
        asked = (fields[QUESTION] + " " + fields[TAGS]).to_list()
        grams = GramIndex.build(asked, fields[ANSWER].to_list())
        pieces = [pieces_of(text, config.piece_words, config.overlap) for text in fields[ANSWER].to_list()]
        starts = np.concatenate([[0], np.cumsum([len(one) for one in pieces])]).astype(np.int64)[:-1]
        questions = fields[QUESTION].to_list()
        vectors = encoder.encode(questions, kind="query") * np.array([bool(text.strip()) for text in questions])[:, None]
        return cls(
            passages,
            encoder,
            config,
            tuple(words),
            grams,
            vectors,
            encoder.encode([one for text in pieces for one in text], kind="passage"),
            starts,
        )

    def __len__(self) -> int:
        return len(self.question_vectors)

    def search(
        self, questions: Sequence[str], k: int = 5, languages: Collection[str] | None = None, allowed: np.ndarray | None = None
    ) -> FoundPassages:
        """Find the passages that answer questions.

        Parameters
        ----------
        k : passages a question, at most.
        languages : ISO 639-1 codes of the passages to choose from; None for all.
        allowed : passages that may be found, bool (n,) or (questions, n); None for all.
        """
        may = np.ones((len(questions), len(self)), dtype=bool) if allowed is None else np.broadcast_to(allowed, (len(questions), len(self)))
        if languages is not None:
            may = may & self.passages.language.is_in(list(languages)).to_numpy()
        read, evidence = self._evidence(questions)
        scores = np.where(may, evidence @ self._weights, -np.inf)
        if self.pairs is not None:
            scores = self._with_pairs(read, scores)
        rows, best = top_k(scores, min(k, len(self)))
        signals, found = _signals(scores, evidence), rows[:, :1].max(axis=1, initial=-1) >= 0
        told = np.full(len(questions), np.nan, np.float32) if self.calibration is None else self.calibration.probabilities(signals)
        return FoundPassages(rows, best, np.where(found, told, np.float32(0)), read)

    @cached_property
    def _weights(self) -> np.ndarray:
        return np.array([getattr(self.config.weights, name) for name in EVIDENCE], dtype=np.float32)

    @cached_property
    def _center(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean vectors of questions and of pieces: their cosine is that of a passage that has nothing to do with the question."""
        return self.question_vectors.mean(axis=0), self.piece_vectors.mean(axis=0)

    def evidence(self, questions: Sequence[str]) -> np.ndarray:
        """Return the evidence of each passage for each question, in the order of `EVIDENCE`, float32 (questions, n, 6)."""
        return self._evidence(questions)[1]

    def _evidence(self, questions: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
        of_languages = [[words.read(question) for words in self.words] for question in questions]
        # The language that knows most of the words says how they are spelt.
        read = tuple(max(ways, key=lambda one: one.known).text for ways in of_languages)
        vectors = self._vectors([*questions, *read])
        out = np.zeros((len(questions), len(self), len(EVIDENCE)), dtype=np.float32)
        for place, (question, text, ways) in enumerate(zip(questions, read, of_languages, strict=True)):
            for words, way in zip(self.words, ways, strict=True):
                out[place, words.rows, 0] = words.shares(way.tokens)
                out[place, words.rows, 5] = way.known
            typed, mended = self.grams.evidence(question), self.grams.evidence(text)
            out[place, :, 1], out[place, :, 2] = np.maximum(typed[0], mended[0]), np.maximum(typed[1], mended[1])
            both = [self._cosines(vectors[question]), self._cosines(vectors[text])] if question != text else [self._cosines(vectors[text])]
            out[place, :, 3], out[place, :, 4] = np.maximum.reduce(both)
        return read, out

    def _vectors(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        distinct = list(dict.fromkeys(texts))
        return dict(zip(distinct, self.encoder.encode(distinct, kind="query") if distinct else [], strict=True))

    def _cosines(self, vector: np.ndarray) -> np.ndarray:
        """Return of each passage the cosine of its question, and of the nearest piece of its answer, less the usual one, float32 (2, n)."""
        questions, pieces = (center @ vector for center in self._center)
        nearest = np.maximum.reduceat(self.piece_vectors @ vector, self.piece_starts)
        return np.stack([self.question_vectors @ vector - questions, nearest - pieces])

    def _with_pairs(self, read: Sequence[str], scores: np.ndarray) -> np.ndarray:
        """Add the cross-encoder's logits to the best passages, and rank the others below them."""
        assert self.pairs is not None
        out = np.full_like(scores, -np.inf)
        for place, row in enumerate(top_k(scores, min(self.config.pairs, len(self)))[0]):
            rows = row[row >= 0]
            texts = [f"{self.passages.question[int(i)]} {self.passages.answer[int(i)]}".strip() for i in rows]
            out[place, rows] = scores[place, rows] + self.config.weights.pair * self.pairs(read[place], texts)
        return out

    def _calibrated(self, seed: int) -> AnswerCalibration | None:
        """Calibrate on the passages' own questions: shortened and misspelt ones, and such whose passage is not there."""
        texts, rows = own_questions(self.passages.question.to_list(), seed)
        if len(rows) < LEAST:
            return None
        evidence, allowed = self.evidence(texts), np.ones((2, len(rows), len(self)), dtype=bool)
        allowed[1, np.arange(len(rows)), rows] = False
        scores = [np.where(may, evidence @ self._weights, -np.inf) for may in allowed]
        if self.pairs is not None:
            scores = [self._with_pairs(texts, one) for one in scores]
        signals = np.concatenate([_signals(one, evidence) for one in scores])
        right = scores[0].argmax(axis=1) == rows
        return AnswerCalibration.fit(signals, np.concatenate([right, np.zeros(len(rows), dtype=bool)]))


def _signals(scores: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """Return what tells whether the best passage answers: its score, its lead over the second one, its evidence, float64 (b, 8)."""
    if not scores.shape[1]:
        return np.zeros((len(scores), 2 + len(EVIDENCE)))
    two = np.sort(np.where(np.isfinite(scores), scores, 0), axis=1)[:, -2:]
    best = evidence[np.arange(len(scores)), scores.argmax(axis=1)]
    return np.column_stack([two[:, -1], two[:, -1] - two[:, 0], best]).astype(np.float64)
