"""Options of a recommendation request."""

from __future__ import annotations

from dataclasses import dataclass

MAX_PER_GROUP = 1  # variants of a product in a list


@dataclass(frozen=True)
class RecommendOptions:
    """Filters and length of a list. The user travels beside it: one request may be for many users.

    Attributes
    ----------
    history : items bought just now, oldest first; they follow what is known of the user.
    k : list length.
    category, max_price, in_stock, exclude : what the list may hold; prices in the shop's currency.
    new_only : only items that the user has not bought; None: only where users of this shop never buy an item again.
    diversity : 0 ranks by probability alone, 1 wants the items as different as possible.
    max_per_group : how many variants of a product (`group_id`) a list may hold.
    unsold : only items that nobody has bought yet, likely to sell soon and near to the user's purchases; without
        probabilities.
    explain : with what each feature added to the log odds.
    """

    history: tuple[str, ...] = ()
    k: int = 10
    category: str | None = None
    max_price: float | None = None
    in_stock: bool = False
    exclude: tuple[str, ...] = ()
    new_only: bool | None = None
    diversity: float = 0.0
    max_per_group: int = MAX_PER_GROUP
    unsold: bool = False
    explain: bool = False
