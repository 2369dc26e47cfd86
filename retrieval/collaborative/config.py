"""Configuration of retrieval: the quota of each source and the parameters of each collaborative model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from retrieval.collaborative.als import ALSConfig
from retrieval.collaborative.ease import EASEConfig
from retrieval.collaborative.item_knn import ItemToItemConfig
from retrieval.collaborative.markov import MarkovConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

# Names of fields in models of older versions.
_STORED_NAMES = {
    "own": "repeat_purchases",
    "together": "item_knn",
    "transitions": "markov",
    "together_model": "item_knn_model",
    "transitions_model": "markov_model",
    "successors_model": "next_item_model",
}


class RetrievalConfig(BaseModel):
    """Quotas of the candidate sources and parameters of the collaborative models.

    Attributes
    ----------
    candidates : int
        At most so many candidates a user after fusion.
    repeat_purchases, ease, item_knn, als, tower, popular : int
        At most so many candidates a user from each source; `repeat_purchases` are items that the user bought before.
    reviews : int
        The same for EASE beside the words of reviews, in a shop that has reviews; 0 does not fit it.
    texts : int
        The same for items like the last ones bought, by the words of titles and by buyers; 0 does not compare titles.
    markov : int
        The same for Markov transitions. They cost most, and help most where order matters; 0 does not fit them. With
        them comes `next_item_model`, a candidate feature and not a source: the transitions from the last step alone,
        which a sum over ten steps hides.
    arrivals : int
        Places of a list for items created within `arrival_days` that nobody has bought yet and whose text is similar to
        what the user bought. No other feature gives a never-sold item a chance.
    arrival_days : float
        Age in days up to which an item is an arrival.
    ease_model, item_knn_model, als_model, markov_model, next_item_model, review_ease_model
        Parameters of the models.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    candidates: int = Field(default=500, ge=1)
    repeat_purchases: int = Field(default=300, ge=0)
    ease: int = Field(default=200, ge=0)
    item_knn: int = Field(default=40, ge=0)
    als: int = Field(default=40, ge=0)
    markov: int = Field(default=0, ge=0)
    reviews: int = Field(default=60, ge=0)
    texts: int = Field(default=0, ge=0)
    tower: int = Field(default=60, ge=0)
    popular: int = Field(default=60, ge=0)
    arrivals: int = Field(default=1, ge=0)
    arrival_days: float = Field(default=28.0, gt=0)
    ease_model: EASEConfig = EASEConfig()
    item_knn_model: ItemToItemConfig = ItemToItemConfig()
    als_model: ALSConfig = ALSConfig()
    markov_model: MarkovConfig = MarkovConfig(reach=10, decay=0.8, source=0.5, target=0.0)
    next_item_model: MarkovConfig = MarkovConfig(reach=1, source=0.5, target=0.0)
    review_ease_model: EASEConfig = EASEConfig(l2=30)

    @classmethod
    def from_stored(cls, values: Mapping[str, Any]) -> RetrievalConfig:
        """Return the configuration that a model was stored with, by this version or an older one."""
        return cls(**{_STORED_NAMES.get(name, name): value for name, value in values.items()})
