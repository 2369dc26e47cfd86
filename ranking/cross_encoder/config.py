"""Configurations of the cross-encoder, in a module of their own so that reading them imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Mapping


class CrossEncoderConfig(BaseModel):
    """Input size and training parameters of the cross-encoder over a history and an item.

    Attributes
    ----------
    rerank_depth : candidates a user that are reranked, the best of the base booster.
    history_items : newest distinct items of the history.
    item_tokens : first tokens of each item's text.
    users : users of one epoch.
    positives, negatives : candidates a user in one epoch, at most.
    distillation : weight of the base booster's probability beside the label; 0 learns from labels alone.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    rerank_depth: int = Field(default=12, ge=1)
    history_items: int = Field(default=10, ge=1)
    item_tokens: int = Field(default=16, ge=2)
    users: int = Field(default=600, ge=1)
    positives: int = Field(default=6, ge=1)
    negatives: int = Field(default=10, ge=1)
    batch_users: int = Field(default=8, ge=1)
    epochs: int = Field(default=1, ge=1)
    lr: float = Field(default=1e-4, gt=0)
    head_lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.1, ge=0, le=1)
    distillation: float = Field(default=0.0, ge=0, le=1)

    @property
    def right_tokens(self) -> int:
        """First tokens of each candidate."""
        return self.item_tokens

    @property
    def lefts(self) -> int:
        """Left sides of one epoch."""
        return self.users

    @property
    def batch(self) -> int:
        """Left sides of one step."""
        return self.batch_users


class QueryPairConfig(BaseModel):
    """Input size and training parameters of the cross-encoder over a query or a question and a passage.

    Attributes
    ----------
    rerank_depth : candidates a query that are reranked.
    query_tokens, passage_tokens : first tokens of a query, and of a passage.
    queries : queries of one epoch.
    positives, negatives : passages a query in one epoch, at most.
    attention : logarithm of the weight of the query's tokens in a passage's attention, before training. Below 0, training
        starts near the vectors that the encoder gives to each text alone.
    cosine : weight of the cosine of query and passage before training.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    rerank_depth: int = Field(default=24, ge=1)
    query_tokens: int = Field(default=32, ge=2)
    passage_tokens: int = Field(default=48, ge=2)
    queries: int = Field(default=4000, ge=1)
    positives: int = Field(default=3, ge=1)
    negatives: int = Field(default=4, ge=1)
    batch_queries: int = Field(default=8, ge=1)
    epochs: int = Field(default=2, ge=1)
    lr: float = Field(default=8e-5, gt=0)
    head_lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.1, ge=0, le=1)
    attention: float = Field(default=-3.0, le=0)
    cosine: float = Field(default=10.0, ge=0)

    @property
    def right_tokens(self) -> int:
        """First tokens of each passage."""
        return self.passage_tokens

    @property
    def lefts(self) -> int:
        """Left sides of one epoch."""
        return self.queries

    @property
    def batch(self) -> int:
        """Left sides of one step."""
        return self.batch_queries


class QuestionPairConfig(QueryPairConfig):
    """The same with its own layers; without them, the layers that are the upper ones of the text encoder read the pair.

    Attributes
    ----------
    layers : top layers of the text encoder that read the pair, at most all; the layers below see query and passage alone, and their
        states are kept.
    """

    layers: int = Field(default=6, ge=1)


class SentenceTermConfig(BaseModel):
    """Input size and training parameters of the cross-encoder over a sentence and a term in it, which has three classes.

    Attributes
    ----------
    layers : top layers of the text encoder that read the pair, at most all.
    sentence_tokens, term_tokens : first tokens of a sentence, and of a term.
    sentences : sentences of one epoch.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    rerank_depth: ClassVar[int] = 0  # it ranks nothing
    layers: int = Field(default=6, ge=1)
    sentence_tokens: int = Field(default=96, ge=2)
    term_tokens: int = Field(default=8, ge=1)
    sentences: int = Field(default=12_000, ge=1)
    batch_sentences: int = Field(default=16, ge=1)
    epochs: int = Field(default=3, ge=1)
    lr: float = Field(default=1e-4, gt=0)
    head_lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup: float = Field(default=0.1, ge=0, le=1)

    @property
    def query_tokens(self) -> int:
        """First tokens of each left side."""
        return self.sentence_tokens

    @property
    def right_tokens(self) -> int:
        """First tokens of each term."""
        return self.term_tokens

    @property
    def lefts(self) -> int:
        """Left sides of one epoch."""
        return self.sentences

    @property
    def batch(self) -> int:
        """Left sides of one step."""
        return self.batch_sentences


PairConfig = CrossEncoderConfig | QueryPairConfig | SentenceTermConfig


def classes(config: PairConfig) -> tuple[int, ...]:
    """Return the shape of a pair's logits: one number, or one for each of negative, neutral and positive."""
    return (3,) if isinstance(config, SentenceTermConfig) else ()


def left_kind(config: PairConfig) -> dict[str, str]:
    """Return the entry of a stored cross_encoder.json that says what the left side is; none for a history."""
    if isinstance(config, SentenceTermConfig):
        return {"left": "sentence"}
    return {"left": "query"} if isinstance(config, QueryPairConfig) else {}


def read_config(about: Mapping[str, Any]) -> PairConfig:
    """Read the configuration from the content of a stored cross_encoder.json."""
    if about.get("left") == "sentence":
        return SentenceTermConfig(**about["config"])
    if about.get("left") != "query":
        return CrossEncoderConfig(**about["config"])
    return (QuestionPairConfig if "layers" in about["config"] else QueryPairConfig)(**about["config"])
