"""What a shop's own log decides where neither recsys.toml nor the preset does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from features.distinct import distinct
from features.errors import ConfigError
from features.split import LABEL_EVENTS

if TYPE_CHECKING:
    from features.interactions import Interactions
    from recsys.config import Settings

SINGLE = 1.5  # items bought at one time, on average, up to which the order of single items tells more than the baskets
REPEATS = 0.02  # share of purchases that are repeats, below which nobody wants to be shown what they have

# Sizes that a sequence tower learns best with: docs/decisions/013.
SEQUENCE: dict[str, dict[str, Any]] = {
    "tower": {"reads": "sequence", "dropout": 0.3, "history": 50, "heads": 2},
    "train": {"lr": 1e-3, "negatives": 1024, "epochs": 8, "patience": 2, "last_epochs": 2},
    "retrieval": {"tower": 200, "transitions": 100},
}
SET: dict[str, dict[str, Any]] = {"tower": {"reads": "set"}}


@dataclass(frozen=True)
class Shape:
    """What kind of shop a log is of. basket: items bought at one time, on average. repeats: share of purchases of what the user had."""

    ordered: bool
    basket: float
    repeats: float

    @classmethod
    def of(cls, log: Interactions) -> Shape:
        """Look at the purchases of a log; what is bought twice at one time counts once."""
        bought = np.isin(log.event, LABEL_EVENTS)
        user, time, item = log.user[bought].astype(np.int64), log.time[bought], log.item[bought].astype(np.int64)
        trip = np.cumsum((np.diff(user, prepend=-1) != 0) | (np.diff(time, prepend=0) != 0))  # sorted by user and time
        if not len(trip):
            return cls(log.ordered, 1.0, 0.0)
        lines = len(distinct(trip * log.n_items + item))
        return cls(log.ordered, lines / trip[-1], 1 - len(distinct(user * log.n_items + item)) / lines)

    @property
    def sequence(self) -> bool:
        """People buy one thing at a time."""
        return self.ordered or self.basket <= SINGLE

    @property
    def buys_again(self) -> bool:
        """What somebody has is worth showing again."""
        return self.repeats > REPEATS


def with_shape(settings: Settings, shape: Shape) -> Settings:
    """The settings, completed by what suits such a shop, or the way of reading that the user chose: what the user set stays as it is."""
    reads = settings.tower.reads
    return completed(settings, SEQUENCE if reads == "sequence" or (reads == "auto" and shape.sequence) else SET)


def completed(settings: Settings, wanted: dict[str, dict[str, Any]]) -> Settings:
    """The settings, with values for keys that are open: not set by the user, or "auto".

    Raises
    ------
    ConfigError: a wanted key is unknown, or its value out of range.
    """
    changed = {}
    for section, keys in wanted.items():
        now = getattr(settings, section)
        open_keys = {key: value for key, value in keys.items() if key not in now.model_fields_set or getattr(now, key) == "auto"}
        try:  # a copy with other values would be taken unchecked
            changed[section] = type(now).model_validate({key: getattr(now, key) for key in now.model_fields_set} | open_keys)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join([section, *map(str, first["loc"])])
            raise ConfigError(f"{key} = {first['input']!r}: {first['msg']}; set {key} in recsys.toml, see docs/configuration.md") from error
    return settings.model_copy(update=changed)
