"""A two-tower recommender for a shop: `Shop` is the whole of it; errors are subclasses of `RecsysError`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from features.errors import BundleError, ConfigError, DataError, ModelError, RecsysError
    from recsys.recommend.request import RecommendOptions
    from recsys.refresh.quality_gates import RefusedError
    from recsys.shop import Shop

__all__ = ["BundleError", "ConfigError", "DataError", "ModelError", "RecommendOptions", "RecsysError", "RefusedError", "Shop"]

_HOME = {
    "Shop": "recsys.shop",
    "RecommendOptions": "recsys.recommend.request",
    "RefusedError": "recsys.refresh.quality_gates",
} | dict.fromkeys(("BundleError", "ConfigError", "DataError", "ModelError", "RecsysError"), "features.errors")


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import recsys` costs nothing."""
    if name not in _HOME:
        raise AttributeError(f"module 'recsys' has no attribute {name!r}; public names are {', '.join(__all__)}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
