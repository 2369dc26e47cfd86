"""Configuration of retrieval: the quota of each source and the parameters of each collaborative model."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from retrieval.collaborative.als import ALSConfig
from retrieval.collaborative.ease import EASEConfig
from retrieval.collaborative.item_knn import ItemToItemConfig
from retrieval.collaborative.markov import MarkovConfig

if TYPE_CHECKING:
    from collections.abc import Mapping

PLACES = 10  # of the list that the former key `arrivals` counted in
_log = logging.getLogger(__name__)
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
    exploration : float
        Share of the places of personal lists for items created within `arrival_days` that nobody has bought yet and whose text is
        similar to what the user bought, though their probability alone would not earn it.
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
    exploration: float = Field(default=0.02, ge=0, le=1)
    arrival_days: float = Field(default=28.0, gt=0)
    ease_model: EASEConfig = EASEConfig()
    item_knn_model: ItemToItemConfig = ItemToItemConfig()
    als_model: ALSConfig = ALSConfig()
    markov_model: MarkovConfig = MarkovConfig(reach=10, decay=0.8, source=0.5, target=0.0)
    next_item_model: MarkovConfig = MarkovConfig(reach=1, source=0.5, target=0.0)
    review_ease_model: EASEConfig = EASEConfig(l2=30)

    @model_validator(mode="before")
    @classmethod
    def _former_arrivals(cls, values: Any) -> Any:
        """Read the former key `arrivals`, places of a list, as the share of ten places."""
        if not isinstance(values, dict) or "arrivals" not in values:
            return values
        if "exploration" in values:
            raise ValueError("retrieval.arrivals and retrieval.exploration are the same: delete arrivals, the former name")
        try:
            places = int(values["arrivals"])
        except (TypeError, ValueError):
            raise ValueError("retrieval.arrivals is retrieval.exploration now, a share of places from 0 to 1: rename it") from None
        rest = {name: value for name, value in values.items() if name != "arrivals"}
        share = _share(places)
        _log.warning(
            "note: retrieval.arrivals is retrieval.exploration now: %d of ten places are read as exploration = %g; rename it", places, share
        )
        return rest | {"exploration": share}

    @classmethod
    def from_stored(cls, values: Mapping[str, Any]) -> RetrievalConfig:
        """Return the configuration that a model was stored with, by this version or an older one."""
        former = {"exploration": _share(values["arrivals"])} if "arrivals" in values else {}
        return cls(**former, **{_STORED_NAMES.get(name, name): value for name, value in values.items() if name != "arrivals"})


def _share(places: int) -> float:
    """Return the share that places of a list of ten are."""
    return min(1.0, max(0, places) / PLACES)
