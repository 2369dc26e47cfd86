"""Parameters of the search among passages."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from features.names import ANSWER, QUESTION, TAGS
from retrieval.lexical.index import LexicalConfig


class PassageWeights(BaseModel):
    """What each kind of evidence weighs in the score of a passage.

    Attributes
    ----------
    words : BM25 over question, tags and answer, as a share of a passage that is best for every word.
    grams : cosine of the runs of letters in the question, and in the passage's question and tags.
    held_grams : share of the question's runs of letters that stand anywhere in the passage.
    language : share of the question's words that passages of the same language have.
    question : cosine of the vectors of the question, and of the passage's question and tags.
    whole : the same with question, tags and answer.
    phrases : the same with the passage's question, or the nearest of its tags.
    pieces : the same with the nearest piece of the passage's answer, after its question.
    concepts : cosine of the concepts of shops' service in the question, and in the passage's question and tags.
    held_concepts : share of the question's concepts that stand anywhere in the passage.
    topics : how far the question, and the passage's question and tags, are like examples of the same topics of help pages.
    pair : logit of the cross-encoder, where there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    words: float = Field(default=1.0, ge=0)
    grams: float = Field(default=1.0, ge=0)
    held_grams: float = Field(default=2.5, ge=0)
    language: float = Field(default=4.0, ge=0)
    question: float = Field(default=2.0, ge=0)
    whole: float = Field(default=3.0, ge=0)
    phrases: float = Field(default=2.5, ge=0)
    pieces: float = Field(default=3.5, ge=0)
    concepts: float = Field(default=1.2, ge=0)
    held_concepts: float = Field(default=1.2, ge=0)
    topics: float = Field(default=3.0, ge=0)
    pair: float = Field(default=0.5, ge=0)


class PassageConfig(BaseModel):
    """Parameters of the search among passages.

    Attributes
    ----------
    weights : of the kinds of evidence.
    lexical : parameters of BM25; the language is that of the passages.
    piece_words, overlap : words of a piece of an answer, and how many of them the next piece begins with.
    pairs : passages a question that a cross-encoder reads.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    weights: PassageWeights = PassageWeights()
    lexical: LexicalConfig = LexicalConfig(weights={QUESTION: 1.0, TAGS: 1.0, ANSWER: 0.3})
    piece_words: int = Field(default=24, ge=4)
    overlap: int = Field(default=8, ge=0)
    pairs: int = Field(default=10, ge=1)
