"""LightGBM's own library, called directly: its Python package imports scikit-learn and pandas, which takes longer than an answer does.

The functions are of LightGBM's documented C interface: https://lightgbm.readthedocs.io/en/latest/C-API.html
"""

from __future__ import annotations

import ctypes
import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from features.errors import ModelError

if TYPE_CHECKING:
    from collections.abc import Sequence

_FLOAT32 = 0
_RAW, _CONTRIBUTIONS = 1, 3


@cache
def _library() -> ctypes.CDLL:
    """The library that the package brings.

    Raises
    ------
    ModelError: the package is not installed.
    """
    spec = importlib.util.find_spec("lightgbm")  # looks, without running the package
    found = sorted(Path(spec.origin).parent.rglob("lib_lightgbm.*")) if spec and spec.origin else []
    if not found:
        raise ModelError("LightGBM's library is not installed: `pip install lightgbm`")
    library = ctypes.CDLL(str(found[0]))
    library.LGBM_GetLastError.restype = ctypes.c_char_p
    return library


def _call(name: str, *arguments: object) -> None:
    if getattr(_library(), name)(*arguments):
        raise ModelError(f"LightGBM refuses ({_library().LGBM_GetLastError().decode()}): train again, or roll back")


def mean_of(texts: Sequence[str]) -> str:
    """The booster that says the mean of several of the same features, in LightGBM's text: all their trees, their leaves in proportion."""

    def scaled(line: re.Match[str]) -> str:
        return f"{line[1]}=" + " ".join(f"{float(value) / len(texts):.17g}" for value in line[2].split())

    heads, bodies = zip(*(text.split("Tree=", 1) for text in texts), strict=True)
    trees = [tree for body in bodies for tree in re.split(r"^Tree=", body.split("end of trees", 1)[0], flags=re.MULTILINE)]
    head = re.sub(r"^tree_sizes=.*\n", "", heads[0], flags=re.MULTILINE)  # of these trees; without, LightGBM reads one after another
    numbered = (f"Tree={i}\n" + tree.split("\n", 1)[1] for i, tree in enumerate(trees))
    body = re.sub(r"^(leaf_value|internal_value|shrinkage)=(.*)$", scaled, "".join(numbered), flags=re.MULTILINE)
    return head + body + "end of trees\n"


class NativeBooster:
    """A fitted model in LightGBM's text, with the few methods of `lightgbm.Booster` that answering needs."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._handle = ctypes.c_void_p()
        rounds = ctypes.c_int()
        _call("LGBM_BoosterLoadModelFromString", ctypes.c_char_p(text.encode()), ctypes.byref(rounds), ctypes.byref(self._handle))
        self._names = re.search(r"^feature_names=(.*)$", text, re.MULTILINE)

    def __del__(self) -> None:
        if self._handle:
            _library().LGBM_BoosterFree(self._handle)

    def feature_name(self) -> list[str]:
        """The features, in their order."""
        return self._names[1].split() if self._names else []

    def model_to_string(self) -> str:
        """The text it was made of."""
        return self._text

    def feature_importance(self, importance_type: Literal["split", "gain"] = "split") -> np.ndarray:
        """How often each feature parts the rows, or what that gained, (features,)."""
        feature, gain = (
            " ".join(re.findall(rf"^{name}=(.*)$", self._text, re.MULTILINE)).split() for name in ("split_feature", "split_gain")
        )
        weights = np.array(gain, dtype=np.float64) if importance_type == "gain" else None
        return np.bincount(np.array(feature, dtype=np.int64), weights, minlength=len(self.feature_name()))

    def predict(self, rows: np.ndarray, *, raw_score: bool = False, pred_contrib: bool = False) -> np.ndarray:
        """Log odds (n,) of rows (n, features), or what each feature and the mean add to them, (n, features + 1); float64.

        Raises
        ------
        ValueError: neither or both were asked for.
        """
        if raw_score == pred_contrib:
            raise ValueError("ask for raw scores or for contributions")
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        n, features = rows.shape
        out = np.empty((n, features + 1) if pred_contrib else n, dtype=np.float64)
        written = ctypes.c_int64()
        _call(
            "LGBM_BoosterPredictForMat",
            self._handle,
            rows.ctypes.data_as(ctypes.c_void_p),
            ctypes.c_int(_FLOAT32),
            ctypes.c_int32(n),
            ctypes.c_int32(features),
            ctypes.c_int(1),  # rows one after another
            ctypes.c_int(_CONTRIBUTIONS if pred_contrib else _RAW),
            ctypes.c_int(0),
            ctypes.c_int(-1),  # all trees
            ctypes.c_char_p(b"num_threads=1"),  # who asks for many users has a thread for each part of them
            ctypes.byref(written),
            out.ctypes.data_as(ctypes.POINTER(ctypes.c_double)),
        )
        return out
