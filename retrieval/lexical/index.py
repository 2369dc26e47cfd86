"""BM25 over weighted fields of the catalogue's distinct texts.

The simple extension of BM25 to weighted fields (Robertson, Zaragoza and Taylor 2004): the counts of a term in the fields are weighted and
summed before they saturate. Scores are computed once, and a query adds up the columns of its terms.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from pydantic import BaseModel, ConfigDict, Field, field_validator
from safetensors import SafetensorError
from safetensors.numpy import save

from features.errors import BundleError, DataError
from features.storage.arrays import arrays_of
from retrieval.lexical.analyzer import LANGUAGES, Analyzer
from retrieval.lexical.query_terms import QueryTerms
from retrieval.lexical.term_counts import TermCounts, pack_strings, unpack_strings
from retrieval.topk import top_k

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scipy.sparse import csr_array

    from retrieval.lexical.query_terms import Way

MOST_KEPT = 1 << 12  # queries whose terms are kept


class LexicalConfig(BaseModel):
    """Parameters of BM25.

    Attributes
    ----------
    k1 : float
        How slowly repetitions of a term saturate.
    b : float
        How much long texts are discounted, from 0 to 1.
    language : str
        Of the stemmer and the stop words; "none" keeps words as they are.
    weights : dict of str to float
        Weight of each field; fields without a weight are not read. "leaf" ends the category's path; "reviews" are words of praise.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    k1: float = Field(default=0.6, ge=0, le=10)
    b: float = Field(default=0.6, ge=0, le=1)
    language: str = "english"
    weights: dict[str, float] = dict.fromkeys(("title", "brand", "category", "leaf", "description"), 1.0) | {
        "attributes": 0.1,
        "reviews": 0.2,
    }

    @field_validator("language")
    @classmethod
    def _known(cls, language: str) -> str:
        if language not in LANGUAGES:
            raise ValueError(f"there is no stemmer for it: choose one of {', '.join(LANGUAGES)}")
        return language

    @field_validator("weights")
    @classmethod
    def _positive(cls, weights: dict[str, float]) -> dict[str, float]:
        if not weights or not all(0 < weight < float("inf") for weight in weights.values()):
            raise ValueError("expected at least one field, each with a weight above 0")
        return weights


@dataclass(frozen=True)
class LexicalIndex:
    """BM25 scores of every term in every text that holds it.

    Attributes
    ----------
    config : LexicalConfig
    terms : list of str
        Sorted.
    offsets : int64 (n_terms + 1,)
        Term i has the postings offsets[i]:offsets[i+1].
    texts : int32 (n_postings,)
        The texts that hold each term, ascending.
    values : float32 (n_postings,)
        The score of the term in the text.
    counts : TermCounts
        What the scores were computed from.
    """

    config: LexicalConfig
    terms: list[str]
    offsets: np.ndarray
    texts: np.ndarray
    values: np.ndarray
    counts: TermCounts

    @classmethod
    def build(cls, fields: Mapping[str, Sequence[str | None]] | pl.DataFrame, config: LexicalConfig | None = None) -> LexicalIndex:
        """Build the index.

        Parameters
        ----------
        fields : mapping of str to sequences of n_texts strings, or a table with those columns
            The fields of each distinct text. A null is an empty field; a field of the configuration may be absent.

        Raises
        ------
        DataError
            If the fields have different lengths.
        """
        config = config or LexicalConfig()
        return cls._scored(TermCounts.count(_texts(fields, config), Analyzer(config.language)), config)

    def update(self, fields: Mapping[str, Sequence[str | None]] | pl.DataFrame, config: LexicalConfig | None = None) -> LexicalIndex:
        """Return the index of another set of texts; only texts that this index lacks are read.

        The result is the same as that of `build`, bit for bit.
        """
        config = config or self.config
        if config.language != self.config.language or list(config.weights) != list(self.config.weights):
            return self.build(fields, config)
        return self._scored(self.counts.update(_texts(fields, config), Analyzer(config.language)), config)

    @classmethod
    def _scored(cls, counts: TermCounts, config: LexicalConfig) -> LexicalIndex:
        weights = np.array(list(config.weights.values()), dtype=np.float64)
        postings = _bm25(counts.weighted(weights), config).tocsc()
        postings.sort_indices()
        return cls(
            config,
            counts.terms,
            postings.indptr.astype(np.int64),
            postings.indices.astype(np.int32),
            postings.data.astype(np.float32),
            counts,
        )

    def __len__(self) -> int:
        """Return the number of texts."""
        return len(self.counts.hashes)

    @cached_property
    def analyzer(self) -> Analyzer:
        """What made the terms, and what makes those of queries."""
        return Analyzer(self.config.language)

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        """Number of texts that hold each term."""
        return dict(zip(self.terms, np.diff(self.offsets).tolist(), strict=True))

    @cached_property
    def query_terms(self) -> QueryTerms:
        """Other ways to write a query's terms."""
        return QueryTerms(len(self), self.vocabulary, self.texts_with)

    @cached_property
    def _ways(self) -> Callable[[tuple[str, ...]], list[list[Way]]]:
        """`QueryTerms.ways`, kept: the stages of a search ask for the same terms."""
        return lru_cache(maxsize=MOST_KEPT)(self.query_terms.ways)

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {term: row for row, term in enumerate(self.terms)}

    def texts_with(self, term: str) -> np.ndarray:
        """Return the texts that hold a term, int32 (n,), ascending."""
        return self._postings(term)[0]

    def holding_all(self, tokens: Sequence[str]) -> np.ndarray:
        """Return which texts hold every token, in one of its spellings, bool (n_texts,); none if there are no tokens."""
        held = np.full(len(self), bool(tokens))
        for ways in self._ways(tuple(tokens)):
            one = np.zeros(len(self), dtype=bool)
            for terms, _ in ways:
                found = np.ones(len(self), dtype=bool)
                for term in terms:
                    has = np.zeros(len(self), dtype=bool)
                    has[self.texts_with(term)] = True
                    found &= has
                one |= found
            held &= one
        return held

    def scores(self, tokens: Sequence[str]) -> np.ndarray:
        """Return the score of every text for the tokens of a query, float32 (n_texts,); 0 where a text holds none of them.

        A token counts once. Where a term can be written in several ways ("wi-fi" and "wifi"), the best of them counts.
        """
        return self.scores_and_best(tokens)[0]

    def scores_and_best(self, tokens: Sequence[str]) -> tuple[np.ndarray, float]:
        """Return the `scores`, and that of a text that would be the best for each term; a term that no text has counts as the mean."""
        scores, best = np.zeros(len(self), dtype=np.float32), []
        for ways in self._ways(tuple(tokens)):
            of_term = np.zeros_like(scores)
            for terms, weight in ways:
                one = np.zeros_like(scores)
                self._add(one, terms, weight)
                np.maximum(of_term, one, out=of_term)
            scores += of_term
            best.append(float(of_term.max(initial=0)))
        known = [score for score in best if score > 0]
        return scores, sum(known) / len(known) * len(best) if known else 0.0

    def search(self, tokens: Sequence[str], k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the k best texts that hold any of the tokens, best first, equal scores by row.

        Parameters
        ----------
        allowed : bool (n_texts,), optional
            Texts that may be returned; None allows all.

        Returns
        -------
        texts : int64 (m,), m <= k
        scores : float32 (m,)
        """
        scores = self.scores(tokens)
        found = scores > 0 if allowed is None else (scores > 0) & allowed
        rows, best = top_k(np.where(found, scores, -np.inf)[None, :], k)
        kept = rows[0] >= 0
        return rows[0][kept], best[0][kept]

    def _postings(self, term: str) -> tuple[np.ndarray, np.ndarray]:
        row = self._row_of.get(term)
        if row is None:
            return self.texts[:0], self.values[:0]
        part = slice(self.offsets[row], self.offsets[row + 1])
        return self.texts[part], self.values[part]

    def _add(self, scores: np.ndarray, terms: Sequence[str], weight: float) -> None:
        for term in terms:
            texts, values = self._postings(term)
            scores[texts] += values * np.float32(weight)

    def to_files(self) -> dict[str, bytes]:
        """Return the postings and the counts as safetensors, and the configuration."""
        letters, ends = pack_strings(self.terms)
        arrays = {"offsets": self.offsets, "texts": self.texts, "values": self.values, "terms": letters, "term_ends": ends}
        header = {"texts": len(self), "terms": len(self.terms), "config": self.config.model_dump()}
        return {
            "lexical.safetensors": save(arrays),
            "lexical_counts.safetensors": save(self.counts.arrays()),
            "lexical.json": json.dumps(header).encode(),
        }

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> LexicalIndex:
        """Read the files of `to_files`; mapped files are not copied.

        Raises
        ------
        BundleError
            If the files are no index, or do not belong together.
        """
        try:
            header, arrays = json.loads(files["lexical.json"]), arrays_of(files, "lexical.safetensors")
            config = LexicalConfig.model_validate(header["config"])
            terms = unpack_strings(arrays["terms"], arrays["term_ends"])
            counts = TermCounts.from_arrays(terms, len(config.weights), arrays_of(files, "lexical_counts.safetensors"))
            offsets, texts, values = arrays["offsets"], arrays["texts"], arrays["values"]
        except (KeyError, ValueError, TypeError, SafetensorError) as error:
            raise BundleError(f"the lexical index cannot be read ({str(error)[:80]!r}): build the index again, or roll back") from error
        found = (len(counts.hashes), len(terms), len(offsets) - 1, len(texts), len(values), int(texts.max(initial=-1)) < header["texts"])
        expected = (header["texts"], header["terms"], header["terms"], int(offsets[-1]), int(offsets[-1]), True)
        if found != expected:
            raise BundleError(f"the lexical index holds {found}, expected {expected}: build the index again, or roll back")
        return cls(config, terms, offsets, texts, values, counts)


def _bm25(weighted: csr_array, config: LexicalConfig) -> csr_array:
    """Return the BM25 score of each weighted count, in Lucene's form, which is never negative."""
    n_texts, n_terms = weighted.shape
    held = np.bincount(weighted.indices, minlength=n_terms)
    rarity = np.log1p((n_texts - held + 0.5) / (held + 0.5))
    lengths = weighted.sum(axis=1)
    mean = lengths.mean() if n_texts else 0.0
    damping = config.k1 * (1 - config.b + config.b * lengths / (mean or 1.0))
    counts = weighted.data
    scored = weighted.copy()
    scored.data = rarity[weighted.indices] * counts / (counts + np.repeat(damping, np.diff(weighted.indptr)))
    return scored


def _texts(fields: Mapping[str, Sequence[str | None]] | pl.DataFrame, config: LexicalConfig) -> pl.DataFrame:
    """Return a column for each weighted field, without nulls."""
    try:
        frame = pl.DataFrame(fields)
    except pl.exceptions.ShapeError as error:
        sizes = {name: len(texts) for name, texts in fields.items()} if not isinstance(fields, pl.DataFrame) else {}
        raise DataError(f"the fields of the lexical index have {sizes} texts, expected as many in each") from error
    held = set(frame.columns)
    columns = {name: pl.col(name).cast(pl.String) if name in held else pl.lit(None, pl.String) for name in config.weights}
    return frame.with_row_index().select(column.fill_null("").alias(name) for name, column in columns.items())
