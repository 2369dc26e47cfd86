"""The blocklist: items that are never recommended, as a merchandiser lists them in rules.toml."""

from __future__ import annotations

import logging
import tomllib
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from features.errors import ConfigError, DataError, one_line
from ranking.filters import in_categories

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import polars as pl

    from features.data.catalog import Catalog

_log = logging.getLogger(__name__)


class Blocklist(BaseModel):
    """Rules that exclude items from every answer.

    Attributes
    ----------
    categories : as in `ranking.filters.Filters`.
    brands : as the catalogue spells them; case does not matter.
    items : external item ids.
    unavailable : exclude items that are not available.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    categories: tuple[str, ...] = ()
    brands: tuple[str, ...] = ()
    items: tuple[str, ...] = ()
    unavailable: bool = False

    @classmethod
    def read(cls, path: Path) -> Blocklist:
        """Read the rules of a TOML file; a missing file has no rules.

        Raises
        ------
        ConfigError
            If the file cannot be read or has unknown keys. No request is answered then, because a blocked item might be
            shown.
        """
        try:
            return cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return cls()
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise ConfigError(f"{path}: {where}: {first['msg']}: its keys are {', '.join(cls.model_fields)}; see docs/rules.md") from error
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path}: not readable as TOML: {one_line(error)}") from error

    def allowed(self, catalog: Catalog) -> np.ndarray:
        """Return which items may be shown, bool (n_items,). A rule that matches no item is logged as a warning."""
        return self.listed(catalog) & catalog.available if self.unavailable else self.listed(catalog)

    def listed(self, catalog: Catalog) -> np.ndarray:
        """Return which items the rules on categories, brands and ids let through, bool (n_items,)."""
        allowed = np.ones(len(catalog), dtype=bool)
        for name in self.categories:
            allowed &= ~_matched(lambda name=name: in_categories(catalog, (name,)), len(catalog))
        brands = catalog.frame["brand"].str.strip_chars().str.to_lowercase()
        for name in self.brands:
            allowed &= ~_matched(lambda name=name: _of_brand(brands, name), len(catalog))
        for name in self.items:
            allowed &= ~_matched(lambda name=name: np.isin(np.arange(len(catalog)), catalog.rows_or_raise([name])), len(catalog))
        return allowed


def _of_brand(brands: pl.Series, name: str) -> np.ndarray:
    """Return the items of a brand, bool (n_items,).

    Raises
    ------
    DataError
        If no item is of that brand.
    """
    mask = (brands == name.strip().lower()).fill_null(value=False).to_numpy()
    if not mask.any():
        raise DataError(f"no item is of brand {name!r}")
    return mask


def _matched(match: Callable[[], np.ndarray], n_items: int) -> np.ndarray:
    try:
        return match()
    except DataError as error:  # the last such item may have left the catalogue, which must not stop all answers
        _log.warning("a rule of rules.toml blocks nothing: %s", error)
        return np.zeros(n_items, dtype=bool)
