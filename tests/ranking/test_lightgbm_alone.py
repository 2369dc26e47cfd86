"""LightGBM comes without what it would bring, and says the same; what it did not bring can be imported later."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CODE = """
import sys
from ranking.lightgbm_import import lightgbm
lightgbm()
heavy = [name for name in ("sklearn", "pandas", "pyarrow", "torch") if name in sys.modules]
import pandas, sklearn
print(heavy, lightgbm() is sys.modules["lightgbm"])
"""


def test_nothing_else_comes_with_it() -> None:
    done = subprocess.run([sys.executable, "-c", CODE], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == "[] True\n", done.stderr
