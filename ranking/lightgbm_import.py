"""LightGBM without what it would import beside itself.

Its package imports scikit-learn and pandas where they are installed, for wrappers and frames that nobody here uses: four seconds of CPU,
three times what an answer takes. An entry of None in `sys.modules` makes Python say that a module is not there; LightGBM does without.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

_BESIDE = ("sklearn", "pandas", "pyarrow", "matplotlib", "dask")


@cache
def lightgbm() -> ModuleType:
    """The module, imported once."""
    hidden = [name for name in _BESIDE if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None is what Python looks for
    try:
        return import_module("lightgbm")
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
