"""How often each term stands in each field of each text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import csr_array, vstack

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retrieval.lexical.analyzer import Analyzer


@dataclass(frozen=True)
class TermCounts:
    """Counts of terms, from which scores are computed again without reading the texts.

    Attributes
    ----------
    terms : list of str
        Sorted, each in at least one text.
    fields : list of str
    counts : csr_array of uint16 (n_texts * n_fields, n_terms)
        Row i * n_fields + j is field j of text i; columns ascend in each row.
    digests : uint8 (n_texts, 16)
        Of each text's fields.
    """

    terms: list[str]
    fields: list[str]
    counts: csr_array
    digests: np.ndarray

    @classmethod
    def count(cls, columns: Mapping[str, list[str]], digests: np.ndarray, analyzer: Analyzer) -> TermCounts:
        """Tokenize and count all texts."""
        rows_of: dict[str, int] = {}
        seen: dict[str, list[int]] = {}  # brands and categories repeat
        found: list[int] = []
        lengths: list[int] = []
        for texts in zip(*columns.values(), strict=True):
            for text in texts:
                ids = seen.get(text)
                if ids is None:
                    ids = [rows_of.setdefault(term, len(rows_of)) for term in analyzer.index_tokens(text)]
                    seen[text] = ids
                found += ids
                lengths.append(len(ids))
        indptr = np.concatenate([[0], np.cumsum(np.array(lengths, dtype=np.int64))])
        shape = (len(lengths), len(rows_of))
        counts = csr_array((np.ones(len(found), dtype=np.int32), np.array(found, dtype=np.int32), indptr), shape=shape)
        counts.sum_duplicates()
        counts.data = np.minimum(counts.data, np.iinfo(np.uint16).max).astype(np.uint16)
        return cls(list(rows_of), list(columns), counts, digests)._sorted()

    def update(self, columns: Mapping[str, list[str]], digests: np.ndarray, analyzer: Analyzer) -> TermCounts:
        """Return the counts of other texts; those that are counted here are not read again."""
        row_of = {digest.tobytes(): row for row, digest in enumerate(self.digests)}
        old = np.array([row_of.get(digest.tobytes(), -1) for digest in digests], dtype=np.int64)
        unread = np.flatnonzero(old < 0)
        fresh = self.count({name: [texts[i] for i in unread] for name, texts in columns.items()}, digests[unread], analyzer)
        known = {term: row for row, term in enumerate(self.terms)}
        column = np.array([known.setdefault(term, len(known)) for term in fresh.terms], dtype=np.int32)
        n_terms = len(known)
        before = csr_array((self.counts.data, self.counts.indices, self.counts.indptr), shape=(self.counts.shape[0], n_terms))
        after = csr_array((fresh.counts.data, column[fresh.counts.indices], fresh.counts.indptr), shape=(fresh.counts.shape[0], n_terms))
        place = old.copy()
        place[unread] = len(self.digests) + np.arange(len(unread))
        width = len(self.fields)
        rows = (place[:, None] * width + np.arange(width)).ravel()
        counts = csr_array(vstack([before, after], format="csr"))[rows]
        return TermCounts(list(known), self.fields, counts, digests)._sorted()

    def weighted(self, weights: np.ndarray) -> csr_array:
        """Return the weighted sum of each text's fields, float64 (n_texts, n_terms)."""
        n_texts, width = len(self.digests), len(self.fields)
        indptr = np.arange(n_texts + 1) * width
        summing = csr_array((np.tile(weights, n_texts), np.arange(n_texts * width), indptr), shape=(n_texts, n_texts * width))
        summed = csr_array(summing @ self.counts)
        summed.sort_indices()
        return summed

    def arrays(self) -> dict[str, np.ndarray]:
        """Return what `from_arrays` reads, without the terms."""
        counts = self.counts
        return {"counts": counts.data, "columns": counts.indices, "rows": counts.indptr.astype(np.int64), "digests": self.digests}

    @classmethod
    def from_arrays(cls, terms: list[str], fields: list[str], arrays: Mapping[str, np.ndarray]) -> TermCounts:
        """Read the arrays of `arrays`.

        Raises
        ------
        ValueError
            If the arrays do not belong together.
        """
        digests = arrays["digests"]
        shape = (len(digests) * len(fields), len(terms))
        counts = csr_array((arrays["counts"], arrays["columns"], arrays["rows"]), shape=shape)
        return cls(terms, fields, counts, digests)

    def _sorted(self) -> TermCounts:
        """Return the same counts with sorted terms, and without those that no text holds."""
        held = np.flatnonzero(np.bincount(self.counts.indices, minlength=len(self.terms)))
        kept = sorted(held.tolist(), key=self.terms.__getitem__)
        column = np.zeros(len(self.terms), dtype=np.int32)
        column[kept] = np.arange(len(kept), dtype=np.int32)
        counts = csr_array(
            (self.counts.data, column[self.counts.indices], self.counts.indptr.astype(np.int64)),
            shape=(self.counts.shape[0], len(kept)),
        )
        counts.sort_indices()
        return TermCounts([self.terms[row] for row in kept], self.fields, counts, self.digests)


def pack_strings(strings: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return strings as UTF-8, uint8 (n_bytes,), and the end of each, int64 (n,)."""
    encoded = [string.encode("utf-8", "surrogatepass") for string in strings]
    ends = np.cumsum(np.array([len(one) for one in encoded], dtype=np.int64))
    return np.frombuffer(b"".join(encoded), dtype=np.uint8), ends


def unpack_strings(letters: np.ndarray, ends: np.ndarray) -> list[str]:
    """Return the strings of `pack_strings`."""
    content, begin = letters.tobytes(), 0
    strings: list[str] = []
    for end in ends.tolist():
        strings.append(content[begin:end].decode("utf-8", "surrogatepass"))
        begin = end
    return strings
