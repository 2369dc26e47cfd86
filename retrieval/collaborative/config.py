"""Settings of retrieval: how many candidates each source gives."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from retrieval.collaborative.als import ALSConfig
from retrieval.collaborative.ease import EASEConfig
from retrieval.collaborative.item_knn import ItemToItemConfig
from retrieval.collaborative.markov import MarkovConfig


class RetrievalConfig(BaseModel):
    """candidates: at most so many a user in all; repeat_purchases, ease ... popular: at most so many from each source; each model's own
    settings.

    markov (transitions: what follows what) cost most and say most where the order tells something: 0 leaves them out altogether. With
    them comes what followed the very last step alone, as evidence and no source: a sum over ten steps hides it.
    arrivals: places of a list kept for items created within `arrival_days` that nobody has bought yet, where their text is near to what
    the user bought. What has never been sold has no chance by any other evidence, and would never be.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    candidates: int = Field(default=500, ge=1)
    repeat_purchases: int = Field(default=300, ge=0)
    ease: int = Field(default=200, ge=0)
    item_knn: int = Field(default=40, ge=0)
    als: int = Field(default=40, ge=0)
    markov: int = Field(default=0, ge=0)
    tower: int = Field(default=60, ge=0)
    popular: int = Field(default=60, ge=0)
    arrivals: int = Field(default=1, ge=0)
    arrival_days: float = Field(default=28.0, gt=0)
    ease_model: EASEConfig = EASEConfig()
    item_knn_model: ItemToItemConfig = ItemToItemConfig()
    als_model: ALSConfig = ALSConfig()
    markov_model: MarkovConfig = MarkovConfig(reach=10, decay=0.8, source=0.5, target=0.0)
    next_item_model: MarkovConfig = MarkovConfig(reach=1, source=0.5, target=0.0)
