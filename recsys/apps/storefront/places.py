"""Where customers live, by an attribute of the table of customers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

from features.names import USER_ID

if TYPE_CHECKING:
    from features.data.customers import Customers


@dataclass(frozen=True)
class Places:
    """The place of each customer of whom it is known, by external id."""

    of: dict[str, str]

    @classmethod
    def read(cls, customers: Customers, attribute: str) -> Self:
        """Take the places from the table of customers.

        Raises
        ------
        DataError
            If no customer has the attribute.
        """
        known = customers.attribute(attribute).drop_nulls()
        return cls(dict(zip(known[USER_ID].to_list(), known["value"].to_list(), strict=True)))

    def of_user(self, user_id: str | None) -> str | None:
        """Return where a user lives; None where nothing tells."""
        return None if user_id is None else self.of.get(user_id)

    def named(self, place: str) -> str | None:
        """Return a place as the table spells it; None where nobody lives there."""
        return self._spelt.get(place.casefold())

    @cached_property
    def _spelt(self) -> dict[str, str]:
        return {place.casefold(): place for place in sorted(set(self.of.values()))}

    def users(self, place: str, user_ids: np.ndarray) -> np.ndarray:
        """Return which of some users live in a place, bool (n,)."""
        return np.isin(user_ids.astype(str), [user for user, known in self.of.items() if known == place])
