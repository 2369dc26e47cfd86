"""What a page showed, and what was done with it: the rows that `recsys.workspace.impressions` stores.

Names are those of OpenSearch's User Behavior Insights where it has them: an impression is a `query_id`, an item an `object_id`, a place an
`ordinal`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Mapping

PageOutcome = Literal["ok", "degraded", "failed"]
UnitKind = Literal["user", "session"]
DERIVED = "derived:"  # prefix of ids that no client gave


@dataclass(frozen=True)
class ShownItem:
    """One place of a row.

    Attributes
    ----------
    propensity : probability that this item is shown at this place, over all that was drawn; above 0.
    rule : the rule of merchandising that placed it; None otherwise.
    """

    item_id: str
    propensity: float = 1.0
    rule: str | None = None


@dataclass(frozen=True)
class Impression:
    """One row of a page as it was shown, each item once. `first`: the first item's place, above 1 in a row that was turned over.

    A row that shows nothing is not an impression: leave it out.
    """

    impression_id: str
    row: str
    items: tuple[ShownItem, ...]
    first: int = 1


@dataclass(frozen=True)
class ArmExposure:
    """A unit saw an arm of an experiment. `unit`: whether the page's user or its session is the unit."""

    experiment: str
    arm: str
    unit: UnitKind = "user"


@dataclass(frozen=True)
class ServedPage:
    """One page that was asked for.

    Attributes
    ----------
    time : seconds since the epoch.
    rows : what it showed; none where it failed.
    context : what a reward model may distinguish, in a few values, such as a device; "" for nothing.
    milliseconds : how long the answer took.
    """

    page_id: str
    page: str
    time: int
    rows: tuple[Impression, ...] = ()
    user_id: str | None = None
    session_id: str | None = None
    bundle_id: str = ""
    context: str = ""
    milliseconds: float = 0.0
    outcome: PageOutcome = "ok"
    exposures: tuple[ArmExposure, ...] = ()

    @classmethod
    def of_answer(cls, answer: Mapping[str, Any], time: int, **more: Any) -> Self:
        """Make it from an answer of `POST /v1/page` as JSON. Rows that show nothing are left out.

        Parameters
        ----------
        more : other attributes, such as `session_id` and `exposures`.
        """
        rows = tuple(
            Impression(
                row["impression_id"],
                row["name"],
                tuple(ShownItem(item["item_id"], item.get("propensity", 1.0), item.get("rule")) for item in row["items"]),
                row["items"][0]["position"],
            )
            for row in answer["rows"]
            if row["items"]
        )
        return cls(answer["page_id"], answer["page"], time, rows, answer["user_id"], bundle_id=answer["bundle_id"], **more)


@dataclass(frozen=True)
class Action:
    """Something that a customer did with an item of an impression.

    Attributes
    ----------
    action_name : "click", "cart", "purchase" or another one.
    sent : time on the client's clock in seconds since the epoch; None where it sent none, or none that can be read.
    position : place that the client names; the stored one is where the item stood.
    value : price of the whole quantity.
    action_id : id that the client gave; "" derives one from item and action, so that an action counts once an impression.
    """

    impression_id: str
    item_id: str
    action_name: str
    sent: float | None = None
    position: int | None = None
    value: float | None = None
    action_id: str = ""

    def __post_init__(self) -> None:
        if not self.action_id:
            key = json.dumps([self.item_id, self.action_name]).encode()
            object.__setattr__(self, "action_id", DERIVED + hashlib.sha256(key).hexdigest()[:32])


@dataclass(frozen=True)
class StoredActions:
    """What became of a batch of actions: received = new + repeated + unknown + not_shown + too_many.

    Attributes
    ----------
    repeated : were stored before, or stand in the batch twice.
    unknown : name an impression that was never served, or is no longer kept.
    not_shown : name an item that the impression did not show.
    too_many : came after the most that are kept of one impression.
    moved : of the stored ones, those that named another place than the item's; the item's place is stored.
    clocks_off : of the stored ones, those whose time cannot be; the server's is stored.
    examples : of what was not stored, one a kind.
    """

    received: int
    new: int = 0
    repeated: int = 0
    unknown: int = 0
    not_shown: int = 0
    too_many: int = 0
    moved: int = 0
    clocks_off: int = 0
    examples: dict[str, str] = field(default_factory=dict)

    @property
    def notes(self) -> tuple[str, ...]:
        """A line for each kind of action that was not stored as it was sent."""
        of = f"of {self.received:,} actions"
        such_as = {kind: f", such as {example}" for kind, example in self.examples.items()}
        told = (
            (
                self.unknown,
                f"{of} name impressions that were not served here, or are no longer kept: not stored{such_as.get('unknown', '')}",
            ),
            (self.not_shown, f"{of} name items that were not shown there: not stored{such_as.get('not_shown', '')}"),
            (self.too_many, f"{of} came after the most that one impression may have: not stored{such_as.get('too_many', '')}"),
            (self.moved, f"{of} name another place than the item had: the item's place is stored"),
            (self.clocks_off, f"{of} have a time that cannot be: the server's time is stored"),
        )
        return tuple(f"{count:,} {text}" for count, text in told if count)
