"""What an audience is answered with."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from recsys.apps.customers.audience.model import Sales
    from recsys.apps.customers.groups import Gap


@dataclass(frozen=True)
class Member:
    """One customer. `probability`: calibrated, to buy within the window; None where too little was bought to learn from."""

    rank: int
    user_id: str
    probability: float | None
    reason: str


@dataclass(frozen=True)
class Audience:
    """The customers for one product, the likeliest first.

    Attributes
    ----------
    product : the item's title, the category, or the text.
    kind : sold, unsold or category.
    days : length of the window.
    sales : buyers among these customers within the window, written to or not; None without probabilities.
    customers : how many the log knows.
    left_out : reason -> customers.
    notes : what was not known, guessed or limited.
    exposure : of the attributes of `campaigns.sensitive`, among all who may be written to.
    exposure_limit : how wide a gap a plan would allow.
    """

    product: str
    kind: str
    bundle_id: str
    days: int
    members: tuple[Member, ...]
    sales: Sales | None
    customers: int
    left_out: dict[str, int]
    notes: tuple[str, ...] = ()
    exposure: tuple[Gap, ...] = ()
    exposure_limit: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the stable form of `--json`."""
        sales = None
        if self.sales is not None:
            sales = {
                "letters": len(self.members),
                "expected": round(self.sales.expected, 2),
                "low": self.sales.low,
                "high": self.sales.high,
            }
        return {
            "product": self.product,
            "kind": self.kind,
            "bundle_id": self.bundle_id,
            "days": self.days,
            "buyers": sales,
            "customers": self.customers,
            "left_out": self.left_out,
            "exposure": [
                {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in asdict(gap).items()}
                for gap in self.exposure
            ],
            "exposure_limit": self.exposure_limit,
            "notes": list(self.notes),
            "members": [vars(member) for member in self.members],
        }
