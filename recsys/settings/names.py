"""What a command was asked to do: the command line fills these in, the verbs take them."""

from __future__ import annotations

from typing import Literal

Preset = Literal["quick", "full"]
ShopName = Literal["completejourney", "beauty", "games", "online_retail"]
Device = Literal["auto", "cpu", "cuda"]
