"""Search among passages: for a question in words, the passages that answer it, and how probable it is that the best one does.

Words (BM25, spelling mended), runs of letters, and the cosine of text vectors are weighted and summed, all passages at a time.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np
import polars as pl
from safetensors import SafetensorError
from safetensors.numpy import save

from features.errors import BundleError
from features.names import ANSWER, QUESTION, TAGS
from features.storage.arrays import arrays_of
from features.storage.digests import of_strings
from retrieval.passages.calibration import LEAST, AnswerCalibration
from retrieval.passages.config import PassageConfig
from retrieval.passages.grams import GramIndex
from retrieval.passages.perturbed import own_questions
from retrieval.passages.service import PassageService, ReadPassages
from retrieval.passages.service_topics import TopicVectors, packaged_topics
from retrieval.passages.service_words import ServiceWords
from retrieval.passages.vectors import GROUPS, PassageVectors
from retrieval.passages.words import PassageWords, known_languages
from retrieval.topk import top_k

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from retrieval.passages.vectors import PassageEncoder

_FILES = "passages"
EVIDENCE = ("words", "grams", "held_grams", "language", *GROUPS, "concepts", "held_concepts", "topics")


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
    vectors : of all.
    service : concepts of shops' service, and topics of help pages, of all.
    calibration : None where there are too few passages to calibrate on.
    pairs : cross-encoder, which gives logits for a question and texts of passages; None for none.
    """

    passages: Passages
    encoder: PassageEncoder
    config: PassageConfig
    words: tuple[PassageWords, ...]
    grams: GramIndex
    vectors: PassageVectors
    service: PassageService
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
    def _built(
        cls,
        passages: Passages,
        encoder: PassageEncoder,
        config: PassageConfig,
        real_words: frozenset[str],
        arrays: Mapping[str, np.ndarray] | None = None,
    ) -> PassageIndex:
        fields = pl.DataFrame({QUESTION: passages.question, TAGS: passages.tags, ANSWER: passages.answer})
        languages, words = known_languages(passages.question + " " + passages.answer, passages.language), []
        for language in languages.unique().sort().to_list():
            rows = (languages == language).arg_true().to_numpy().astype(np.int64)
            words.append(PassageWords.build(language, rows, fields[rows], config, real_words))
        asked = (fields[QUESTION] + " " + fields[TAGS]).to_list()
        grams = GramIndex.build(asked, fields[ANSWER].to_list())
        read = ReadPassages.of(fields, languages)
        if arrays is None:
            vectors = PassageVectors.encode(read.ways, encoder, config.piece_words, config.overlap)
            topics = TopicVectors.encode(encoder, packaged_topics())
        else:
            vectors, topics = PassageVectors.of_arrays(arrays), TopicVectors.of_arrays(arrays)
        return cls(passages, encoder, config, tuple(words), grams, vectors, PassageService.of(read, vectors, topics))

    def to_files(self) -> dict[str, bytes]:
        """Return vectors and calibration as safetensors, and the configuration; the passages and the encoder are their owner's."""
        arrays = (
            self.vectors.to_arrays() | self.service.topics.to_arrays() | ({} if self.calibration is None else self.calibration.to_arrays())
        )
        about = {"config": self.config.model_dump(), "passages": _digest(self.passages)}
        return {f"{_FILES}.safetensors": save(arrays), f"{_FILES}.json": json.dumps(about).encode()}

    @classmethod
    def from_files(
        cls,
        files: Mapping[str, bytes],
        passages: Passages,
        encoder: PassageEncoder,
        *,
        real_words: frozenset[str] = frozenset(),
        pairs: Callable[[str, Sequence[str]], np.ndarray] | None = None,
    ) -> PassageIndex:
        """Read the files of `to_files`; words and runs of letters are counted again, and nothing is encoded.

        Raises
        ------
        BundleError
            If the files are no index, or one of other passages.
        """
        try:
            about, arrays = json.loads(files[f"{_FILES}.json"]), arrays_of(files, f"{_FILES}.safetensors")
            config, digest = PassageConfig.model_validate(about["config"]), about["passages"]
            calibration = AnswerCalibration.of_arrays(arrays)
            if digest != _digest(passages):
                raise BundleError("the index of passages is of other passages: build the index again")
            return replace(cls._built(passages, encoder, config, real_words, arrays), calibration=calibration, pairs=pairs)
        except (KeyError, ValueError, TypeError, SafetensorError) as error:
            raise BundleError(f"the index of passages cannot be read ({str(error)[:80]!r}): build the index again, or roll back") from error

    def __len__(self) -> int:
        return len(self.passages.question)

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
            may = may & np.isin(np.arange(len(self)), np.concatenate([one.rows for one in self.words if one.language in languages] or [[]]))
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

    def evidence(self, questions: Sequence[str]) -> np.ndarray:
        """Return the evidence of each passage for each question, in the order of `EVIDENCE`, float32 (questions, n, 11)."""
        return self._evidence(questions)[1]

    def _evidence(self, questions: Sequence[str]) -> tuple[tuple[str, ...], np.ndarray]:
        of_languages = [[words.read(question) for words in self.words] for question in questions]
        # The language that knows most of the words says how they are spelt.
        read = tuple(
            max(ways, key=lambda one: one.known).text if ways else question for question, ways in zip(questions, of_languages, strict=True)
        )
        said = [ServiceWords.packaged().read(text) for text in read]
        vectors = self._vectors([*questions, *read, *(one.english for one in said)])
        out = np.zeros((len(questions), len(self), len(EVIDENCE)), dtype=np.float32)
        for place, (question, text, of_service, readings) in enumerate(zip(questions, read, said, of_languages, strict=True)):
            for words, one in zip(self.words, readings, strict=True):
                out[place, words.rows, 0] = words.shares(one.tokens)
                out[place, words.rows, 3] = one.known
            ways = dict.fromkeys([question, text])
            out[place, :, 1:3] = np.max([self.grams.evidence(way) for way in ways], axis=0).T
            told = np.stack([vectors[way] for way in dict.fromkeys([*ways, of_service.english])])
            out[place, :, 4:8] = np.max([self.vectors.cosines(vector) for vector in told], axis=0)
            out[place, :, 8:] = self.service.evidence(of_service.concepts, told)
        return read, out

    def _vectors(self, texts: Sequence[str]) -> dict[str, np.ndarray]:
        distinct = list(dict.fromkeys(texts))
        return dict(zip(distinct, self.encoder.encode(distinct, kind="query") if distinct else [], strict=True))

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
        """Calibrate on the passages' own questions, shortened and misspelt.

        A question has an answer while its passage is there, and none while it is left out. Customers use other words than the passage
        does: what speaks for the passage is drawn towards what speaks for the next best one, by a random share from none to all of it.
        """
        texts, rows = own_questions(self.passages.question.to_list(), seed)
        if len(rows) < LEAST or len(self) < 2:
            return None
        evidence, places = self.evidence(texts), np.arange(len(rows))
        absent = evidence @ self._weights
        absent[places, rows] = -np.inf
        share = np.random.default_rng(seed).random((len(rows), 1), dtype=np.float32)
        drawn = evidence.copy()
        drawn[places, rows] = share * evidence[places, rows] + (1 - share) * evidence[places, absent.argmax(axis=1)]
        scores = [drawn @ self._weights, absent]
        if self.pairs is not None:
            scores = [self._with_pairs(texts, one) for one in scores]
        signals = np.concatenate([_signals(one, of) for one, of in zip(scores, (drawn, evidence), strict=True)])
        right = scores[0].argmax(axis=1) == rows
        return AnswerCalibration.fit(signals, np.concatenate([right, np.zeros(len(rows), dtype=bool)]))


def _digest(passages: Passages) -> str:
    columns = (passages.question, passages.answer, passages.tags, passages.language)
    return hashlib.sha256(b"".join(of_strings(column.to_list()) for column in columns)).hexdigest()


def _signals(scores: np.ndarray, evidence: np.ndarray) -> np.ndarray:
    """Return what tells whether the best passage answers: its score, its lead over the second one, its evidence, float64 (b, 13)."""
    if not scores.shape[1]:
        return np.zeros((len(scores), 2 + len(EVIDENCE)))
    two = np.sort(np.where(np.isfinite(scores), scores, 0), axis=1)[:, -2:]
    best = evidence[np.arange(len(scores)), scores.argmax(axis=1)]
    return np.column_stack([two[:, -1], two[:, -1] - two[:, 0], best]).astype(np.float64)
