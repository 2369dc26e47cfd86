"""How often each word stands in each field of each text, and the term that each word is found by."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
from scipy.sparse import csr_array, vstack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retrieval.lexical.analyzer import Analyzer

_SEEDS = (1, 2)
_BETWEEN = "\x1f"  # fields; texts of a catalogue hold no control characters
_MOST = np.iinfo(np.uint16).max


@dataclass(frozen=True)
class TermCounts:
    """Counts of words, from which scores are computed again without reading the texts.

    Attributes
    ----------
    terms : list of str
        Sorted.
    words : list of str
        Sorted, each in at least one text.
    term_of : int32 (n_words,)
        The term of each word: its stem. Words are kept beside their stems because stemming costs more than all else.
    counts : csr_array of uint16 (n_texts * n_fields, n_words)
        Row i * n_fields + j is field j of text i; columns ascend in each row.
    hashes : uint64 (n_texts, 2)
        Of each text's fields. Other versions of polars hash differently, which makes an update read all texts.
    """

    terms: list[str]
    words: list[str]
    term_of: np.ndarray
    counts: csr_array
    hashes: np.ndarray

    @classmethod
    def count(cls, texts: pl.DataFrame, analyzer: Analyzer) -> TermCounts:
        """Read and count all texts; a column is a field, without nulls."""
        words, counts = _counted(texts, analyzer)
        return cls._sorted(words, [analyzer.stem(word) for word in words], counts, _hashes(texts))

    def update(self, texts: pl.DataFrame, analyzer: Analyzer) -> TermCounts:
        """Return the counts of other texts; those that are counted here are not read again."""
        hashes = _hashes(texts)
        place = _places(self.hashes, hashes)
        unread = np.flatnonzero(place < 0)
        fresh, counts = _counted(texts[unread], analyzer)
        row_of = dict(zip(self.words, range(len(self.words)), strict=True))
        column = np.array([row_of.setdefault(word, len(row_of)) for word in fresh], dtype=np.int32)
        words = list(row_of)
        stems = [self.terms[term] for term in self.term_of.tolist()]
        stems += [analyzer.stem(word) for word in words[len(stems) :]]
        before = _widened(self.counts, self.counts.indices, len(words))
        after = _widened(counts, column[counts.indices] if len(column) else counts.indices, len(words))
        place[unread] = len(self.hashes) + np.arange(len(unread))
        rows = (place[:, None] * texts.width + np.arange(texts.width)).ravel()
        return self._sorted(words, stems, csr_array(vstack([before, after], format="csr"))[rows], hashes)

    def weighted(self, weights: np.ndarray) -> csr_array:
        """Return the weighted sum of each text's fields, float64 (n_texts, n_terms)."""
        n_texts, width = len(self.hashes), len(weights)
        shape = (n_texts, n_texts * width)
        summing = csr_array((np.tile(weights, n_texts), np.arange(n_texts * width), np.arange(n_texts + 1) * width), shape=shape)
        summed = csr_array(summing @ _widened(self.counts, self.term_of[self.counts.indices], len(self.terms)))
        summed.sort_indices()
        return summed

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `from_arrays` reads, without the terms."""
        letters, ends = pack_strings(self.words)
        words = {"words": letters, "word_ends": ends, "term_of": self.term_of}
        # Lengths and no offsets: those of unchanged texts stay, so bundles share them.
        columns, lengths = self.counts.indices.astype(np.int32), np.diff(self.counts.indptr).astype(np.int32)
        return {**words, "counts": self.counts.data.astype(np.uint16), "columns": columns, "lengths": lengths, "hashes": self.hashes}

    @classmethod
    def from_arrays(cls, terms: list[str], n_fields: int, arrays: Mapping[str, np.ndarray]) -> TermCounts:
        """Read the arrays of `arrays`.

        Raises
        ------
        ValueError
            If the arrays do not belong together.
        """
        words, hashes = unpack_strings(arrays["words"], arrays["word_ends"]), arrays["hashes"]
        # Bundles of earlier versions have offsets.
        rows = arrays["rows"] if "rows" in arrays else np.concatenate([[0], np.cumsum(arrays["lengths"], dtype=np.int64)])
        counts = csr_array((arrays["counts"], arrays["columns"], rows), shape=(len(hashes) * n_fields, len(words)))
        if len(arrays["term_of"]) != len(words) or int(arrays["term_of"].max(initial=-1)) >= len(terms):
            raise ValueError("words and terms do not belong together")
        return cls(terms, words, arrays["term_of"], counts, hashes)

    @classmethod
    def _sorted(cls, words: Sequence[str], stems: Sequence[str], counts: csr_array, hashes: np.ndarray) -> TermCounts:
        """Sort words and terms, and leave out words that no text holds."""
        held = np.flatnonzero(np.bincount(counts.indices, minlength=len(words)))
        kept = sorted(held.tolist(), key=words.__getitem__)
        column = np.zeros(len(words), dtype=np.int32)
        column[kept] = np.arange(len(kept), dtype=np.int32)
        counts = _widened(counts, column[counts.indices] if len(words) else counts.indices, len(kept))
        counts.sort_indices()
        terms = sorted({stems[row] for row in kept})
        row_of = dict(zip(terms, range(len(terms)), strict=True))
        term_of = np.array([row_of[stems[row]] for row in kept], dtype=np.int32)
        return cls(terms, [words[row] for row in kept], term_of, counts, hashes)


def _counted(texts: pl.DataFrame, analyzer: Analyzer) -> tuple[list[str], csr_array]:
    """Return the words of texts in order of first occurrence, and their counts, uint16 (n_texts * n_fields, n_words)."""
    row_of: dict[str, int] = {}
    seen: dict[str, list[int]] = {}  # brands and categories repeat
    found: list[int] = []
    lengths: list[int] = []
    for fields in texts.iter_rows():
        for text in fields:
            rows = seen.get(text)
            if rows is None:
                rows = seen[text] = [row_of.setdefault(word, len(row_of)) for word in analyzer.index_words(text)]
            found += rows
            lengths.append(len(rows))
    ends = np.concatenate([[0], np.cumsum(np.array(lengths, dtype=np.int64))])
    counts = csr_array((np.ones(len(found), dtype=np.int32), np.array(found, dtype=np.int32), ends), shape=(len(lengths), len(row_of)))
    counts.sum_duplicates()
    counts.data = np.minimum(counts.data, _MOST).astype(np.uint16)
    return list(row_of), counts


def _widened(counts: csr_array, columns: np.ndarray, n_columns: int) -> csr_array:
    """Return counts with other columns."""
    return csr_array((counts.data, columns, counts.indptr), shape=(counts.shape[0], n_columns))


def _hashes(texts: pl.DataFrame) -> np.ndarray:
    """Return two hashes of each text's fields, 128 bits together, so that no two texts share counts by chance."""
    if not texts.height:
        return np.zeros((0, 2), dtype=np.uint64)
    joined = texts.select(text=pl.concat_str(pl.all(), separator=_BETWEEN))["text"]
    return np.column_stack([joined.hash(seed=seed).to_numpy() for seed in _SEEDS])


def _places(known: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return a row of each wanted pair of hashes among known ones, int64 (n,); -1 where there is none."""
    if not len(known):
        return np.full(len(wanted), -1, dtype=np.int64)
    order = np.argsort(known[:, 0], kind="stable")
    rows = order[np.minimum(np.searchsorted(known[order, 0], wanted[:, 0]), len(known) - 1)]
    return np.where((known[rows] == wanted).all(axis=1), rows, -1)


def pack_strings(strings: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return strings as UTF-8, uint8 (n_bytes,), and the end of each, int64 (n,)."""
    encoded = [string.encode() for string in strings]
    ends = np.cumsum(np.array([len(one) for one in encoded], dtype=np.int64))
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), ends


def unpack_strings(letters: np.ndarray, ends: np.ndarray) -> list[str]:
    """Return the strings of `pack_strings`."""
    content, begin = letters.tobytes(), 0
    strings: list[str] = []
    for end in ends.tolist():
        strings.append(content[begin:end].decode())
        begin = end
    return strings
