"""Options of a recommendation request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ranking.filters import Filters
    from ranking.merchandising.place import Place
    from recsys.snapshot.snapshot import Snapshot

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
    unsold : only items that nobody has bought yet, by the probability that the user buys them.
    explain : with what each feature added to the log odds.
    page, row : where the list is shown, for the rules of merchandising.toml (`ranking.merchandising.place`).
    merchandising : whether these rules arrange the list.
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
    page: str = "recommend"
    row: str | None = None
    merchandising: bool = True

    def filters(self, snapshot: Snapshot) -> Filters:
        """Return the filters over a snapshot's catalogue; raises DataError where it lacks an excluded item."""
        from ranking.filters import Filters  # here: the command line reads this module for `--help`

        return Filters(
            categories=(self.category,) if self.category else (),
            max_price=self.max_price,
            in_stock=self.in_stock,
            exclude=tuple(snapshot.catalog.rows_or_raise(list(self.exclude)).tolist()),
            new_only=not snapshot.buys_again if self.new_only is None else self.new_only,
        )

    @property
    def place(self) -> Place:
        """Where the list is shown."""
        from ranking.merchandising.place import Place

        return Place(self.page, self.row, self.category)
