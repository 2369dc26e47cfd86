"""Configuration keys that have been renamed.

The old names of `RENAMED` go on working for one release, in recsys.toml and in environment variables. Each one that is used is logged.
"""

from __future__ import annotations

import logging
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from features.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

# Old path -> new path. Only the last part of a path differs.
RENAMED = {
    "blend": "gbdt",
    "retrieval.own": "retrieval.repeat_purchases",
    "retrieval.together": "retrieval.item_knn",
    "retrieval.transitions": "retrieval.markov",
    "retrieval.together_model": "retrieval.item_knn_model",
    "retrieval.transitions_model": "retrieval.markov_model",
    "retrieval.successors_model": "retrieval.next_item_model",
    "cross_encoder.read": "cross_encoder.rerank_depth",
    "train.hide": "train.id_dropout",
    "tower.reads": "tower.user_encoder",
}
_SEPARATOR = "__"  # between the parts of an environment variable's name

_log = logging.getLogger(__name__)


def with_new_keys(table: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return a configuration with renamed keys under their new names.

    Parameters
    ----------
    table : section -> key -> value, not validated yet.
    place : what the configuration was read from, for messages.

    Raises
    ------
    ConfigError
        If a key is given under both names.
    """
    out = deepcopy(dict(table))
    for old, new in RENAMED.items():
        section, _, old_key = old.rpartition(".")
        keys = out.get(section) if section else out
        if not isinstance(keys, dict) or old_key not in keys:
            continue
        new_key = new.rpartition(".")[2]
        if new_key in keys:
            raise ConfigError(f"{place}: {old} and {new} are the same key: keep {new} and delete {old}, its old name")
        keys[new_key] = keys.pop(old_key)
        _warn(f"{place}: {old}", new)
    return out


def with_new_variables(variables: Mapping[str, str | None], prefix: str) -> dict[str, str | None]:
    """Return environment variables, names in lower case, with renamed keys under their new names.

    Raises
    ------
    ConfigError
        If a key is given under both names.
    """
    out = dict(variables)
    for old, new in RENAMED.items():
        old_name, new_name = (prefix.lower() + path.replace(".", _SEPARATOR) for path in (old, new))
        found, clash = _below(old_name, out), _below(new_name, out)
        if found and clash:
            both = f"{found[0].upper()} and {clash[0].upper()}"
            raise ConfigError(f"environment variables {both} set the same key, {new}: keep the second and unset the first, its old name")
        for name in found:
            renamed = new_name + name.removeprefix(old_name)
            out[renamed] = out.pop(name)
            _warn(f"environment variable {name.upper()}", renamed.upper())
    return out


def spellings(path: str) -> list[str]:
    """Return a key's path under its new name and, where it or its section was renamed, under the old one."""
    return [path, *(old + path.removeprefix(new) for old, new in RENAMED.items() if f"{path}.".startswith(f"{new}."))]


def _below(name: str, variables: Iterable[str]) -> list[str]:
    return [variable for variable in variables if variable == name or variable.startswith(name + _SEPARATOR)]


def _warn(old: str, new: str) -> None:
    _log.warning("%s is called %s now: rename it, the old name goes with the next release", old, new)
