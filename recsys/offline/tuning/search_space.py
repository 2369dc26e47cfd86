"""The settings that `recsys tune` searches, in three stages that share work.

Ranges bound the cost of an answer: quotas of candidates and the rerank depth go to twice the current value at most, and
`retrieval.candidates` stays. What is evaluated often and changes little, such as the layers of the user encoder, is left out: a
search of half an hour has some twenty trials to spend.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from features.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from recsys.settings.settings import Settings

Value = float | int | str
Values = dict[str, Value]  # dotted key -> value
StageName = Literal["towers", "ranking", "cross-encoder"]
STAGES: tuple[StageName, ...] = ("towers", "ranking", "cross-encoder")
DIGITS = 3  # significant digits of a float: more say nothing, and are tedious to read


@dataclass(frozen=True)
class Knob:
    """A setting that is searched, and its range.

    Attributes
    ----------
    key : such as "train.lr".
    kind : "choice" for one of `choices`; else between `low` and `high`.
    log : whether the search is even on a logarithmic scale.
    """

    key: str
    kind: Literal["float", "int", "choice"]
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    choices: tuple[int, ...] = ()

    def around(self, current: Value) -> Knob:
        """Return the knob with a range that holds the current value."""
        if self.kind == "choice":
            return Knob(self.key, self.kind, choices=tuple(sorted({*self.choices, int(current)})))
        return Knob(self.key, self.kind, min(self.low, float(current)), max(self.high, float(current)), self.log)

    def rounded(self, value: Value) -> Value:
        """Return the value as a setting has it."""
        if self.kind == "float":
            return float(f"{float(value):.{DIGITS}g}")
        return int(value)


def value_of(settings: Settings, key: str) -> Value:
    """Return the value of a dotted key."""
    section, name = key.split(".")
    return getattr(getattr(settings, section), name)


def with_values(settings: Settings, values: Mapping[str, Value]) -> Settings:
    """Return the settings with other values of some keys, which count as set by the user from then on.

    Raises
    ------
    ConfigError
        If a key is unknown or a value is out of its range.
    """
    sections: dict[str, Any] = {}
    for key, value in values.items():
        section, _, name = key.partition(".")
        current = sections.get(section, getattr(settings, section, None))
        if current is None or name not in type(current).model_fields:
            raise ConfigError(f"unknown key {key}: see docs/configuration.md")
        given = {field: getattr(current, field) for field in current.model_fields_set}
        sections[section] = type(current).model_validate(given | {name: value})
    return settings.model_copy(update=sections)


def set_by_user(settings: Settings) -> frozenset[str]:
    """Return the dotted keys that recsys.toml or the environment sets; "auto" leaves a key open."""
    keys = {
        (section, key) for section in type(settings).model_fields for key in getattr(getattr(settings, section), "model_fields_set", ())
    }
    return frozenset(f"{section}.{key}" for section, key in keys if getattr(getattr(settings, section), key) != "auto")


def knobs_of(stage: StageName, settings: Settings, *, reviews: bool = False) -> list[Knob]:
    """Return the knobs of a stage for a shop.

    Parameters
    ----------
    settings : completed by preset and profile.
    reviews : whether the shop has reviews.
    """
    if stage == "towers":
        found = _towers(settings)
    elif stage == "ranking":
        found = _ranking(settings, reviews)
    else:
        found = _cross_encoder(settings)
    return [knob.around(value_of(settings, knob.key)) for knob in found]


def open_knobs(knobs: Iterable[Knob], fixed: frozenset[str]) -> list[Knob]:
    """Return the knobs whose keys are not fixed."""
    return [knob for knob in knobs if knob.key not in fixed]


def known_keys() -> tuple[str, ...]:
    """Return every key that some shop's search may hold."""
    from recsys.settings.settings import Settings

    settings = [Settings.model_validate({"tower": {"user_encoder": kind}, "retrieval": {"markov": 1}}) for kind in ("set", "sequence")]
    return tuple(sorted({knob.key for each in settings for stage in STAGES for knob in knobs_of(stage, each, reviews=True)}))


def checked_keys(keys: Sequence[str]) -> frozenset[str]:
    """Return keys that are to stay as they are.

    Raises
    ------
    ConfigError
        If one is not searched.
    """
    from features.text.closest import did_you_mean

    known = known_keys()
    for key in keys:
        if key not in known:
            hint = did_you_mean(key, known) or f"; the search has the keys {', '.join(known)}"
            raise ConfigError(f"unknown key {key}{hint}")
    return frozenset(keys)


def _towers(settings: Settings) -> list[Knob]:
    out = [
        Knob("tower.dim", "choice", choices=(64, 128, 256)),
        Knob("tower.dropout", "float", 0.0, 0.5),
        Knob("train.lr", "float", 3e-4, 1e-2, log=True),
        Knob("train.weight_decay", "float", 1e-3, 0.3, log=True),
        Knob("train.negatives", "int", 256, 4096, log=True),
    ]
    if settings.tower.user_encoder == "sequence":
        out.append(Knob("train.id_dropout", "float", 0.0, 0.6))
    else:
        out.append(Knob("train.hard_negatives", "choice", choices=(0, 4)))
    if settings.train.tuning != "frozen":
        out += [Knob("train.tuned_epochs", "int", 0, 3), Knob("train.encoder_lr", "float", 5e-6, 1e-4, log=True)]
    return out


def _ranking(settings: Settings, reviews: bool) -> list[Knob]:
    out = [
        Knob("gbdt.learning_rate", "float", 0.03, 0.3, log=True),
        Knob("gbdt.rounds", "int", 40, 300, log=True),
        Knob("gbdt.leaves", "int", 4, 63, log=True),
        Knob("gbdt.min_leaf", "int", 20, 1000, log=True),
        Knob("gbdt.features", "float", 0.2, 1.0),
        Knob("gbdt.rows", "float", 0.4, 1.0),
        Knob("gbdt.l2", "float", 1.0, 100.0, log=True),
    ]
    # A source that is off stays off: it would be fitted for every answer.
    sources = ["ease", "item_knn", "als", "tower", "popular", "markov", "texts", *(["reviews"] if reviews else [])]
    quotas = {source: int(getattr(settings.retrieval, source)) for source in sources}
    return out + [Knob(f"retrieval.{source}", "int", 0, 2 * quota) for source, quota in quotas.items() if quota]


def _cross_encoder(settings: Settings) -> list[Knob]:
    read = settings.cross_encoder
    return [
        Knob("cross_encoder.rerank_depth", "int", 5, 2 * read.rerank_depth),
        Knob("cross_encoder.history_items", "int", 3, 2 * read.history_items),
        Knob("cross_encoder.negatives", "int", 4, 30, log=True),
        Knob("cross_encoder.epochs", "int", 1, 3),
        Knob("cross_encoder.lr", "float", 2e-5, 5e-4, log=True),
    ]
