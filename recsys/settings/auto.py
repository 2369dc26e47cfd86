"""Settings that follow from a shop's log, where neither recsys.toml nor the preset sets them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from features.errors import ConfigError

if TYPE_CHECKING:
    from features.data.shop_profile import ShopProfile
    from recsys.settings.settings import Settings


# The sizes with which a sequence encoder of users learns best: docs/decisions/013. The text encoder stays as it is, since
# each item has a vector of its own besides the text's: docs/decisions/122.
SEQUENCE: dict[str, dict[str, Any]] = {
    "tower": {"user_encoder": "sequence", "dropout": 0.3, "history": 50, "heads": 2},
    "train": {"lr": 1e-3, "negatives": 1024, "epochs": 8, "patience": 2, "tuned_epochs": 0, "last_epochs": 2},
    "retrieval": {"tower": 200, "markov": 100, "texts": 100},
}
SET: dict[str, dict[str, Any]] = {"tower": {"user_encoder": "set"}}


def with_profile(settings: Settings, profile: ShopProfile) -> Settings:
    """Return the settings with open keys filled in for this shop, or for the user encoder that the user chose."""
    user_encoder = settings.tower.user_encoder
    return completed(settings, SEQUENCE if user_encoder == "sequence" or (user_encoder == "auto" and profile.sequence) else SET)


def completed(settings: Settings, wanted: dict[str, dict[str, Any]]) -> Settings:
    """Return the settings with values for the keys that are open: not set by the user, or "auto".

    Parameters
    ----------
    wanted : section -> key -> value.

    Raises
    ------
    ConfigError
        If a wanted key is unknown or its value is out of range.
    """
    changed = {}
    for section, keys in wanted.items():
        current = getattr(settings, section)
        set_keys = {key: getattr(current, key) for key in current.model_fields_set}
        open_keys = {key: value for key, value in keys.items() if key not in set_keys or set_keys[key] == "auto"}
        try:  # model_copy would not validate the values
            changed[section] = type(current).model_validate(set_keys | open_keys)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            key = ".".join([section, *map(str, first["loc"])])
            raise ConfigError(f"{key} = {first['input']!r}: {first['msg']}; set {key} in recsys.toml, see docs/configuration.md") from error
    return settings.model_copy(update=changed)
