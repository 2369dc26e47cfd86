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
class CategoryTexts:
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

    def any_near(self, items: np.ndarray, others: np.ndarray, near: float) -> np.ndarray:
        """Return which items, int (m,), are of the category of one of the others, int (n,), and near to its text, bool (m,)."""
        places, other = np.nonzero(self.same_category(items[:, None], others[None, :]))
        found = np.zeros(len(items), dtype=bool)
        found[places[self.cosines(items[places], others[other]) >= near]] = True
        return found


@dataclass(frozen=True)
class SameCustomers:
    """How often two items would share a basket if their customers drew each basket by itself.

    Attributes
    ----------
    shares : float32 csr (n_items, n_users)
        Weight of the user's baskets with the item, over the root of the weight of all baskets of the user.
    """

    shares: sp.csr_array

    @classmethod
    def of(cls, baskets: Baskets) -> Self:
        """Count the baskets of a log by their weights."""
        n_users = int(baskets.user.max(initial=-1)) + 1
        each = np.bincount(baskets.user, baskets.weight, minlength=n_users)
        owner = baskets.user[baskets.basket]
        weight = (baskets.weight[baskets.basket] / np.sqrt(each[owner])).astype(np.float32)
        return cls(sp.coo_array((weight, (baskets.item, owner)), shape=(baskets.n_items, n_users)).tocsr())

    def expected(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Return the expected weight of joint baskets of pairs of items, float (m,)."""
        return row_products(self.shares, first, second)


@dataclass(frozen=True)
class Substitutes:
    """Tells substitutes from other pairs.

    Attributes
    ----------
    texts : CategoryTexts
    customers : SameCustomers
    near : float
        Cosine of texts from which items of one category are substitutes.
    """

    texts: CategoryTexts
    customers: SameCustomers
    near: float

    def among(self, first: np.ndarray, second: np.ndarray, together: np.ndarray) -> np.ndarray:
        """Return which pairs of items are substitutes, bool (m,).

        Parameters
        ----------
        first, second : int (m,)
            Catalogue rows.
        together : float (m,)
            Weight of the baskets that hold both.
        """
        found = self.texts.same_category(first, second)
        pairs = np.flatnonzero(found)
        first, second, together = first[pairs], second[pairs], together[pairs]
        found[pairs] = (self.texts.cosines(first, second) >= self.near) | (self.customers.expected(first, second) > together)
        return found


def row_products(matrix: sp.csr_array, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the inner products of pairs of rows, float (m,)."""
    parts = [slice(begin, begin + _AT_ONCE) for begin in range(0, len(first), _AT_ONCE)]
    sums = [matrix[first[part]].multiply(matrix[second[part]]).sum(axis=1) for part in parts]
    return np.concatenate([np.zeros(0), *(np.asarray(each).ravel() for each in sums)])
