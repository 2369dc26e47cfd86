"""What a shop's own log decides where neither recsys.toml nor the preset does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from features.errors import ConfigError

if TYPE_CHECKING:
    from features.data.shop_profile import ShopProfile
    from recsys.settings.settings import Settings


# Sizes that a sequence tower learns best with: docs/decisions/013.
SEQUENCE: dict[str, dict[str, Any]] = {
    "tower": {"user_encoder": "sequence", "dropout": 0.3, "history": 50, "heads": 2},
    "train": {"lr": 1e-3, "negatives": 1024, "epochs": 8, "patience": 2, "last_epochs": 2},
    "retrieval": {"tower": 200, "markov": 100},
}
SET: dict[str, dict[str, Any]] = {"tower": {"user_encoder": "set"}}


def with_profile(settings: Settings, shape: ShopProfile) -> Settings:
    """The settings, completed by what suits such a shop, or the way of reading that the user chose: what the user set stays as it is."""
    reads = settings.tower.user_encoder
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
