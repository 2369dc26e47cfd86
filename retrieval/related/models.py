"""What a bundle knows of related items: complements and buying again, fitted and stored together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

import scipy.sparse as sp

from features.storage.arrays import Subfolder, in_folder
from retrieval.collaborative.scoring import Weighting
from retrieval.related.buy_again import BuyAgain
from retrieval.related.complements import Complements

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from features.data.interactions import Interactions
    from retrieval.related.substitutes import CategoryTexts

_COMPLEMENTS, _BUY_AGAIN = "complements", "buy_again"


@dataclass(frozen=True)
class Related:
    """The models of related items of one log. Alternatives need no fit, and trends are counted from the log.

    Attributes
    ----------
    complements : Complements
    buy_again : BuyAgain
    built : bool
        False in a bundle that was built without this part; both models find nothing then.
    """

    complements: Complements
    buy_again: BuyAgain
    built: bool = True

    @classmethod
    def fit(cls, log: Interactions, texts: CategoryTexts, now: int) -> Self:
        """Fit on the events before `now`, in seconds since the epoch."""
        return cls(Complements.fit(log.between(None, now), texts), BuyAgain.fit(log, texts.category, now))

    def carried_over(self, rows: np.ndarray, log: Interactions, texts: CategoryTexts, now: int) -> Self:
        """Return the complements as they were fitted over a later catalogue; buying again is counted anew.

        Parameters
        ----------
        rows : the earlier row of each item, int64 (n_items,); -1 for a new item, which has no complements.
        """
        return type(self)(self.complements.moved(rows), BuyAgain.fit(log, texts.category, now))

    @classmethod
    def nothing(cls, n_items: int = 0) -> Self:
        """Return that of a bundle without this part."""
        return cls(Complements(sp.csr_array((n_items, n_items), dtype="float32"), Weighting()), BuyAgain.nothing(), built=False)

    def to_files(self) -> dict[str, bytes]:
        """Return the files of both models, each in a folder; none of a bundle without this part."""
        if not self.built:
            return {}
        return in_folder(_COMPLEMENTS, self.complements.to_files()) | in_folder(_BUY_AGAIN, self.buy_again.to_files())

    @classmethod
    def from_files(cls, files: Mapping[str, bytes], n_items: int) -> Self:
        """Read the files of `to_files`."""
        if not (folder := Subfolder(files, _COMPLEMENTS)):
            return cls.nothing(n_items)
        return cls(Complements.from_files(folder), BuyAgain.from_files(Subfolder(files, _BUY_AGAIN)))
