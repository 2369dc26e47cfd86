"""Values that options of the command line may take."""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

Preset = Literal["quick", "full"]
ShopName = Literal["completejourney", "beauty", "games", "online_retail"]
BenchmarkName = Literal["completejourney", "beauty", "games", "online_retail", "product-qa", "reviews", "reviews-zh", "aspects", "intents"]
Device = Literal["auto", "cpu", "cuda"]


class Scope(StrEnum):
    """A scope of an API key.

    READ allows recommendations and metrics, WRITE allows events and changes of items, ADMIN allows both and erasure. STOREFRONT is for the
    browsers of visitors, who can read the key: pages, suggestions, and actions on what a page showed.
    """

    READ = "read"
    WRITE = "write"
    ADMIN = "admin"
    STOREFRONT = "storefront"
