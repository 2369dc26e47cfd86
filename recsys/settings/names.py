"""Values that options of the command line may take."""

from __future__ import annotations

from typing import Literal

Preset = Literal["quick", "full"]
ShopName = Literal["completejourney", "beauty", "games", "online_retail"]
BenchmarkName = Literal["completejourney", "beauty", "games", "online_retail", "product-qa", "reviews", "reviews-zh", "aspects"]
Device = Literal["auto", "cpu", "cuda"]
