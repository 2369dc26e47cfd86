"""Pairs of a sentence and a term in it: the term's own tokens, at their place in the sentence, beside the whole sentence."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

import numpy as np

from features.text.token_states import ItemTokens, TokenStates
from ranking.cross_encoder.query_item import QueryTokens
from ranking.cross_encoder.trainer import PairBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

    import polars as pl
    from tokenizers import Tokenizer

    from features.text.encoder_files import SentenceConfig
    from ranking.cross_encoder.config import SentenceTermConfig

NEGATIVE, NEUTRAL, POSITIVE = range(3)
POLARITIES = ("negative", "neutral", "positive")


class TokenReader(Protocol):
    """What of a text encoder is needed to read sentences."""

    sentence: SentenceConfig

    @property
    def tokenizer(self) -> Tokenizer:
        """Gives the characters of each token."""
        ...

    def token_states(self, texts: Sequence[str]) -> TokenStates:
        """Run texts through the lower layers."""
        ...


@dataclass(frozen=True)
class MentionTokens:
    """Token states of m mentions in s sentences.

    Attributes
    ----------
    sentences : the sentences that have mentions.
    terms : states of each mention's tokens; row i is mention i.
    owner : position of each mention's sentence in `sentences`, int64 (m,).
    """

    sentences: QueryTokens
    terms: ItemTokens
    owner: np.ndarray

    @classmethod
    def of(cls, encoder: TokenReader, sentences: pl.Series, mentions: pl.DataFrame) -> MentionTokens:
        """Read the sentences that have mentions.

        Parameters
        ----------
        mentions : columns `sentence` (row in `sentences`), `begin` and `end` (characters), as
            `features.reviews.aspects.AspectList.mentions` returns them.
        """
        rows, owner = np.unique(mentions["sentence"].to_numpy(), return_inverse=True)
        texts = sentences.gather(rows).to_list()
        states = encoder.token_states(texts)
        first, count = _places(encoder, texts, owner, mentions)
        offsets = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
        index = np.repeat(states.offsets[owner] + first - offsets[:-1], count) + np.arange(offsets[-1])
        terms = TokenStates(offsets, np.asarray(states.states)[index])
        return cls(QueryTokens.of(states), ItemTokens.of_texts(terms), owner)

    @cached_property
    def _bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """The mentions ordered by sentence, and where each sentence's mentions begin in that order."""
        order = np.argsort(self.owner, kind="stable")
        return order, np.searchsorted(self.owner[order], np.arange(len(self.sentences) + 1))

    def rows(self, sentences: np.ndarray) -> np.ndarray:
        """Return the mentions of some sentences, int64 (b, c), padded with -1."""
        order, begin = self._bounds
        lengths = begin[sentences + 1] - begin[sentences]
        place = np.arange(lengths.max(initial=1))[None]
        index = np.minimum(begin[sentences][:, None] + place, len(order) - 1)
        return np.where(place < lengths[:, None], order[index], -1)


def _places(encoder: TokenReader, texts: list[str], owner: np.ndarray, mentions: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the first token of each mention and how many it has; the first token of all where the text was cut before it."""
    prompt = encoder.sentence.prompt("passage")
    found = encoder.tokenizer.encode_batch([prompt + text.encode("utf-8", "replace").decode("utf-8") for text in texts])
    offsets = [np.array(one.offsets) - len(prompt) for one in found]
    first, count = np.zeros(len(owner), dtype=np.int64), np.ones(len(owner), dtype=np.int64)
    for i, (text, begin, end) in enumerate(zip(owner, mentions["begin"], mentions["end"], strict=True)):
        spans = offsets[text]
        inside = np.flatnonzero((spans[:, 0] < end) & (spans[:, 1] > begin) & (spans[:, 1] > spans[:, 0]))
        if len(inside):
            first[i], count[i] = inside[0], inside[-1] - inside[0] + 1
    return first, count


@dataclass(frozen=True)
class MentionPairs:
    """Mentions with their polarity, to train from.

    Attributes
    ----------
    labels : one of NEGATIVE, NEUTRAL, POSITIVE, int64 (m,).
    weights : weight in the loss, float32 (m,).
    """

    tokens: MentionTokens
    labels: np.ndarray
    weights: np.ndarray

    @property
    def useful(self) -> np.ndarray:
        """Sentences with a mention of weight, int64."""
        return np.unique(self.tokens.owner[self.weights > 0])

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each sentence, int64."""
        return np.diff(self.tokens.sentences.states.offsets)

    def batch(self, lefts: np.ndarray, config: SentenceTermConfig, rng: np.random.Generator) -> PairBatch:
        """Return all mentions of some sentences."""
        rows = self.tokens.rows(lefts)
        real = np.maximum(rows, 0)
        return PairBatch(self.tokens.sentences.take(lefts), rows, self.labels[real], self.weights[real])
