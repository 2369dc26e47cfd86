"""The collaborative models of one log, fitted and stored together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from features.names import REVIEW_EASE_SCORE
from features.storage.arrays import Subfolder, in_folder
from retrieval.collaborative.als import ALS
from retrieval.collaborative.ease import EASE
from retrieval.collaborative.item_knn import ItemToItem
from retrieval.collaborative.markov import Markov
from retrieval.collaborative.popularity import Popularity

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np

    from features.data.interactions import Interactions
    from retrieval.collaborative.config import RetrievalConfig
    from retrieval.collaborative.review_words import ReviewWords


@dataclass(frozen=True)
class Collaborative:
    """The models that need only a log and the words of reviews. They are fitted in seconds, so each cut has its own.

    Attributes
    ----------
    markov, next_item : Markov, optional
        Transitions over several steps, and from the last step alone; None if `RetrievalConfig.markov` is 0.
    review_ease : EASE, optional
        Beside the words of reviews; None for a shop without reviews, or if `RetrievalConfig.reviews` is 0.
    """

    ease: EASE
    item_knn: ItemToItem
    als: ALS
    popularity: Popularity
    markov: Markov | None = None
    next_item: Markov | None = None
    review_ease: EASE | None = None

    @classmethod
    def fit(cls, log: Interactions, now: int, config: RetrievalConfig, reviews: ReviewWords | None = None) -> Collaborative:
        """Fit all models on the events and reviews before `now` (seconds since the epoch), with a cap on each user's share.

        In step time, nothing tells which reviews were written before: they are left out.
        """
        log = log.between(None, now).capped()
        words = reviews.before(now) if reviews is not None and config.reviews and not log.ordinal else None
        return cls(
            EASE.fit(log, config.ease_model),
            ItemToItem.fit(log, config.item_knn_model),
            ALS.fit(log, config.als_model),
            Popularity.fit(log, now),
            Markov.fit(log, config.markov_model) if config.markov else None,
            Markov.fit(log, config.next_item_model) if config.markov else None,
            None if words is None else EASE.fit(log, config.review_ease_model, words),
        )

    def carried_over(self, rows: np.ndarray, log: Interactions, now: int) -> Collaborative:
        """Return the models over a later catalogue, as they were fitted; popularity is counted anew from a log before `now`.

        Parameters
        ----------
        rows : the earlier row of each item, int64 (n_items,); -1 for a new item, of which the models know nothing.
        """
        fitted = {name: model.moved(rows) for name, model in vars(self).items() if model is not None and not isinstance(model, Popularity)}
        return Collaborative(popularity=Popularity.fit(log.between(None, now).capped(), now), **fitted)

    def to_files(self) -> dict[str, bytes]:
        """Return the files of all models, each in a folder of its name."""
        models = {name: model for name, model in vars(self).items() if model is not None}
        files: dict[str, bytes] = {}
        for name, model in models.items():
            files |= in_folder(name, model.to_files())
        return files

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> Collaborative:
        """Read the files of `to_files`."""
        folders = {name: Subfolder(files, name) for name in _MODELS}
        return cls(**{name: kind.from_files(folders[name]) for name, kind in _MODELS.items() if folders[name]})


_MODELS = {
    "ease": EASE,
    "item_knn": ItemToItem,
    "als": ALS,
    "popularity": Popularity,
    "markov": Markov,
    "next_item": Markov,
    REVIEW_EASE_SCORE: EASE,
}
