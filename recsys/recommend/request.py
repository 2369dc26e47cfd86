"""One request for recommendations: who it is for, and by which rules."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RecommendOptions:
    """For whom, and by which rules.

    user: a known one; None is an unknown visitor. history: items bought just now, oldest first; they come after what is known of the user.
    new_only: nothing the user has bought before; None: if people of this shop never buy a thing again.
    diversity: 0 ranks by probability alone, 1 wants the items as unlike as can be.
    debuts: only items that nobody has bought yet, ordered by how likely they sell soon and suit the user; without probabilities.
    explain: with what each feature added to the log odds.
    """

    user: str | None = None
    history: tuple[str, ...] = ()
    k: int = 10
    category: str | None = None
    max_price: float | None = None
    in_stock: bool = False
    exclude: tuple[str, ...] = ()
    new_only: bool | None = None
    diversity: float = 0.0
    unsold: bool = False
    explain: bool = False
