"""Which fitted parts of a snapshot stay as they are while little has changed, and how far each is behind."""

from __future__ import annotations

import logging
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    from recsys.snapshot.fits.changes import Changes

FITS = "fits"  # of a bundle's manifest: each part's `Fit`
State = Literal["kept", "carried over", "fitted"]
_log = logging.getLogger(__name__)
T = TypeVar("T")


class RefitLimits(NamedTuple):
    """Shares of the events, and of the items, that may have changed since a part was fitted; with 0 events it is always fitted."""

    events: float
    items: float


NOTHING_CARRIED = RefitLimits(0.0, 0.0)


@dataclass(frozen=True)
class Fit:
    """What a part was fitted on, and what has changed since.

    Attributes
    ----------
    key : digest of all that it was fitted on.
    settings : digest of the settings and encoders among that; another value always asks for a new fit.
    at : when it was fitted, as ISO 8601 in UTC.
    until : the end of the log that it was fitted on, seconds since the epoch; of a log without a calendar, its last step.
    events, items : how many it was fitted on.
    changed_events, changed_items : at most so many are new, gone or others since then, see `Changes`.
    """

    key: str
    settings: str
    at: str
    until: int
    events: int
    items: int
    changed_events: int = 0
    changed_items: int = 0

    @property
    def share(self) -> float:
        """Share of the events or of the items that have changed since the fit, whichever is larger; 0 where nothing has."""
        return max(self._shares)

    @property
    def _shares(self) -> RefitLimits:
        return RefitLimits(self.changed_events / max(self.events, 1), self.changed_items / max(self.items, 1))

    def within(self, limits: RefitLimits) -> bool:
        """Return whether no more has changed than may have."""
        return all(share <= limit for share, limit in zip(self._shares, limits, strict=True))

    def after(self, changes: Changes, *, of_items: bool) -> Self:
        """Return the fit after further changes. Those that undo earlier ones are added as well, so the sums are bounds."""
        items = self.changed_items + changes.items if of_items else 0
        return replace(self, changed_events=self.changed_events + changes.events, changed_items=items)

    def __str__(self) -> str:
        """What has changed since, in words."""
        changed = [(self.changed_events, self.events, "events"), (self.changed_items, self.items, "items")]
        since = " and ".join(f"{part:,} of {whole:,} {name}" for part, whole, name in changed if part)
        return f"fitted at {self.at}" + (f", {since} have changed since ({self.share:.2%})" if since else ", nothing has changed since")

    @classmethod
    def stored(cls, about: Mapping[str, Any]) -> dict[str, Self]:
        """Return the fits that a bundle's manifest tells by the name of their part; none that another version tells in other keys."""
        keys = {one.name for one in fields(cls)}
        return {name: cls(**fit) for name, fit in (about.get(FITS) or {}).items() if fit.keys() == keys}

    @classmethod
    def behind(cls, about: Mapping[str, Any]) -> bool:
        """Return whether a part of the bundle may have been fitted on other data than the bundle's own."""
        fits = cls.stored(about)
        return len(fits) < len(about.get(FITS) or {}) or any(fit.changed_events or fit.changed_items for fit in fits.values())


@dataclass(frozen=True)
class FittedOn:
    """The data of a fit: the digest of all, that of settings and encoders alone, and whether texts of items are among it."""

    key: str
    settings: str
    of_items: bool


@dataclass
class Fits:
    """Decides for each part of a new snapshot whether the part of the bundle in use stays.

    Attributes
    ----------
    before : the fits of the bundle in use.
    compare : what has changed since that bundle was built; asked for once, where a part may stay.
    limits : what may have changed since a part was fitted.
    until, events, items : of the new snapshot's log and catalogue.
    now : the fits of the new snapshot.
    states : what was done with each part.
    """

    before: Mapping[str, Fit]
    compare: Callable[[], Changes]
    limits: RefitLimits
    until: int
    events: int
    items: int
    now: dict[str, Fit] = field(default_factory=dict)
    states: dict[str, State] = field(default_factory=dict)

    @cached_property
    def changes(self) -> Changes:
        """What has changed since the bundle in use was built."""
        return self.compare()

    def take(self, part: str, on: FittedOn, keep: Callable[[], T], carry_over: Callable[[np.ndarray], T], fit: Callable[[], T]) -> T:
        """Return a part of the snapshot.

        Parameters
        ----------
        part : its name.
        on : what it would be fitted on.
        keep : returns that of the bundle in use, which was fitted on just this.
        carry_over : returns that of the bundle in use over the new catalogue, given the earlier row of each item.
        fit : fits it.
        """
        before = self.before.get(part)
        if before is not None and before.settings == on.settings:
            if before.key == on.key and not before.changed_events and not before.changed_items:
                return self._taken(part, before, "kept", keep)
            if self.limits.events > 0:
                behind = before.after(self.changes, of_items=on.of_items)
                if behind.within(self.limits):
                    return self._taken(part, behind, "carried over", lambda: carry_over(self.changes.rows))
        return self.fitted(part, on, fit)

    def fitted(self, part: str, on: FittedOn, fit: Callable[[], T]) -> T:
        """Return a part that is fitted anew; see `take`."""
        at = datetime.now(UTC).isoformat(timespec="seconds")
        return self._taken(part, Fit(on.key, on.settings, at, self.until, self.events, self.items), "fitted", fit)

    def _taken(self, part: str, fit: Fit, state: State, make: Callable[[], T]) -> T:
        self.now[part], self.states[part] = fit, state
        _log.debug("%s: %s, %s", part, state, fit)
        return make()

    @property
    def about(self) -> dict[str, Any]:
        """The new fits for a bundle's manifest."""
        return {name: asdict(fit) for name, fit in self.now.items()}

    def summary(self) -> str:
        """Return in one line what was done with each part; empty where nothing could stay."""
        if not self.before:
            return ""
        fitted = [name for name, state in self.states.items() if state == "fitted"]
        kept = [name for name, state in self.states.items() if state == "kept"]
        late = [f"{name} ({self.now[name].share:.2%} changed since {self.now[name].at[:10]})" for name in self._carried]
        parts = (("fitted anew", fitted), ("unchanged", kept), ("carried over", late))
        return "; ".join(f"{what}: {', '.join(names)}" for what, names in parts if names)

    @property
    def _carried(self) -> list[str]:
        return [name for name, state in self.states.items() if state == "carried over"]
