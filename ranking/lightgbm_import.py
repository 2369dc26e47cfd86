"""Import of LightGBM without its optional dependencies.

If scikit-learn and pandas are installed, LightGBM imports them for wrappers that this project does not use. That takes
four seconds of CPU, three times as long as an answer. An entry of None in `sys.modules` makes Python report a module as
missing, which LightGBM accepts.
"""

from __future__ import annotations

import sys
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

_OPTIONAL = ("sklearn", "pandas", "pyarrow", "matplotlib", "dask")


@cache
def lightgbm() -> ModuleType:
    """Return the module, imported once."""
    hidden = [name for name in _OPTIONAL if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]  # None marks a module as missing
    try:
        return import_module("lightgbm")
    finally:
        for name in hidden:
            sys.modules.pop(name, None)
