"""What passages and questions are about, whichever words they have: concepts of shops' service, and topics of help pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.passages.service_words import ConceptIndex, ServiceWords

if TYPE_CHECKING:
    from collections.abc import Iterable

    import polars as pl

    from retrieval.passages.service_topics import TopicVectors
    from retrieval.passages.vectors import Fields, PassageVectors


@dataclass(frozen=True)
class ReadPassages:
    """Passages as `ServiceWords` reads them.

    Attributes
    ----------
    ways : question, tags and answer of each passage, as they are, and where they are not English in English words too.
    asked : concepts of question and tags.
    answers : concepts of the answer.
    """

    ways: list[list[Fields]]
    asked: list[frozenset[int]]
    answers: list[frozenset[int]]

    @classmethod
    def of(cls, fields: pl.DataFrame, languages: Iterable[str]) -> ReadPassages:
        """Read question, tags and answer, each in its language, an ISO 639-1 code; "" where it is unknown."""
        words, ways, asked, answers = ServiceWords.packaged(), [], [], []
        for (question, tags, answer), language in zip(fields.iter_rows(), languages, strict=True):
            read = [words.read(text, language) for text in (question, answer)]
            of_tags = [words.read(tag, language) for tag in tags.split(",")]
            english = read[0].english, ", ".join(one.english for one in of_tags), read[1].english
            ways.append(
                list(dict.fromkeys([(question, tags, answer), english])) if language not in ("", "en") else [(question, tags, answer)]
            )
            asked.append(read[0].concepts.union(*(one.concepts for one in of_tags)))
            answers.append(read[1].concepts)
        return cls(ways, asked, answers)


@dataclass(frozen=True)
class PassageService:
    """Concepts and topics of n passages.

    Attributes
    ----------
    concepts : of the passages.
    topics : that a question may have.
    roots : of the shares of topics of each passage's question and tags, see `TopicVectors.roots`, float32 (n, topics).
    """

    concepts: ConceptIndex
    topics: TopicVectors
    roots: np.ndarray

    @classmethod
    def of(cls, read: ReadPassages, vectors: PassageVectors, topics: TopicVectors) -> PassageService:
        """Build it from what is read, and the passages' vectors."""
        concepts = ConceptIndex.build(read.asked, read.answers, len(ServiceWords.packaged().concepts))
        group = vectors.question
        roots = topics.roots(group.vectors, group.starts) if len(group.starts) else np.zeros((0, len(topics.starts)), np.float32)
        return cls(concepts, topics, roots)

    def evidence(self, concepts: frozenset[int], vectors: np.ndarray) -> np.ndarray:
        """Return what speaks for each passage, float32 (n, 3).

        Parameters
        ----------
        concepts : of a question.
        vectors : of the question, in one way to say it or in several, (m, dim).
        """
        of_question = self.topics.roots(vectors, np.zeros(1, dtype=np.int64))[0]
        return np.column_stack([*self.concepts.evidence(concepts), self.roots @ of_question])
