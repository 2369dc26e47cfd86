"""Substitutes: two items of which a customer needs only one.

They are of one category, and either their texts are near, or the same customers buy both, but less often in one basket than if they
drew each of their baskets by itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import numpy as np
import scipy.sparse as sp

from features.names import CATEGORY

if TYPE_CHECKING:
    from features.data.catalog import Catalog
    from retrieval.related.purchases import Baskets

_AT_ONCE = 100_000  # pairs


@dataclass(frozen=True)
class ItemTexts:
    """Categories and text vectors of a catalogue.

    Attributes
    ----------
    category : int (n_items,)
        Code of the category, -1 where there is none.
    vectors : float32 (t, dim)
        Of the distinct texts, unit norm.
    text_of : int64 (n_items,)
        The text of each item.
    """

    category: np.ndarray
    vectors: np.ndarray
    text_of: np.ndarray

    @classmethod
    def of(cls, catalog: Catalog, vectors: np.ndarray, text_of: np.ndarray) -> Self:
        """Take the categories from the catalogue."""
        return cls(catalog.codes(CATEGORY), vectors, text_of)

    def same_category(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return whether pairs of items are of one known category, bool (m,)."""
        return (self.category[first] == self.category[second]) & (self.category[first] >= 0)

    def cosines(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the cosines of the texts of pairs of items, float32 (m,)."""
        parts = [slice(begin, begin + _AT_ONCE) for begin in range(0, len(first), _AT_ONCE)]
        texts = [(self.vectors[self.text_of[first[part]]], self.vectors[self.text_of[second[part]]]) for part in parts]
        return np.concatenate([np.zeros(0, dtype=np.float32), *(np.einsum("ij,ij->i", one, other) for one, other in texts)])


@dataclass(frozen=True)
class SameCustomers:
    """How often two items would share a basket if their customers drew each basket by itself.

    Attributes
    ----------
    shares : float32 csr (n_items, n_users)
        Baskets of the user with the item, over the root of the user's baskets.
    """

    shares: sp.csr_array

    @classmethod
    def of(cls, baskets: Baskets) -> Self:
        """Count the baskets of a log."""
        n_users = int(baskets.user.max(initial=-1)) + 1
        each = np.bincount(baskets.user, minlength=n_users)
        owner = baskets.user[baskets.basket]
        weight = (1 / np.sqrt(np.maximum(each, 1)))[owner].astype(np.float32)
        return cls(sp.coo_array((weight, (baskets.item, owner)), shape=(baskets.n_items, n_users)).tocsr())

    def expected(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the expected number of joint baskets of pairs of items, float (m,)."""
        parts = [slice(begin, begin + _AT_ONCE) for begin in range(0, len(first), _AT_ONCE)]
        sums = [self.shares[first[part]].multiply(self.shares[second[part]]).sum(axis=1) for part in parts]
        return np.concatenate([np.zeros(0), *(np.asarray(each).ravel() for each in sums)])


@dataclass(frozen=True)
class Substitutes:
    """Tells substitutes from other pairs.

    Attributes
    ----------
    texts : ItemTexts
    customers : SameCustomers
    near : float
        Cosine of texts from which items of one category are substitutes.
    """

    texts: ItemTexts
    customers: SameCustomers
    near: float

    def among(self, first: np.ndarray, second: np.ndarray, together: np.ndarray) -> np.ndarray:
        """Return which pairs of items are substitutes, bool (m,).

        Parameters
        ----------
        first, second : int (m,)
            Catalogue rows.
        together : (m,)
            How many baskets hold both.
        """
        found = self.texts.same_category(first, second)
        pairs = np.flatnonzero(found)
        first, second, together = first[pairs], second[pairs], together[pairs]
        found[pairs] = (self.texts.cosines(first, second) >= self.near) | (self.customers.expected(first, second) > together)
        return found
