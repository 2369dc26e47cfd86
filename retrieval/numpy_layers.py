"""The few layers that an answer needs, in numpy: importing torch takes longer than answering does.

Each computes what torch's or transformers' layer of the same weights does in evaluation mode, in float32. Weights go by their names there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

# Abramowitz and Stegun (1964), Handbook of Mathematical Functions, 7.1.26: off by at most 1.5e-7, which float32 does not see.
_ERF = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
_ERF_SCALE = 0.3275911
_BLOCK = 1 << 15  # numbers that a cache holds with all that is reckoned from them


@dataclass(frozen=True)
class Weights:
    """Arrays by name, below a prefix."""

    arrays: Mapping[str, np.ndarray]
    prefix: str = ""

    def __getitem__(self, name: str) -> np.ndarray:
        return self.arrays[self.prefix + name]

    def __contains__(self, name: str) -> bool:
        return self.prefix + name in self.arrays

    def below(self, name: str) -> Weights:
        """Those of one part."""
        return Weights(self.arrays, f"{self.prefix}{name}.")


def linear(x: np.ndarray, weights: Weights) -> np.ndarray:
    """x (..., m) to (..., n)."""
    out = x.reshape(-1, x.shape[-1]) @ weights["weight"].T  # one product, however many axes
    if "bias" in weights:
        out += weights["bias"]
    return out.reshape(*x.shape[:-1], -1)


def layer_norm(x: np.ndarray, weights: Weights, epsilon: float = 1e-5) -> np.ndarray:
    """x (..., m), each row brought to mean 0 and variance 1, then scaled and moved."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.mean(centred * centred, axis=-1, keepdims=True)
    return centred / np.sqrt(variance + np.float32(epsilon)) * weights["weight"] + weights["bias"]


def gelu(x: np.ndarray) -> np.ndarray:
    """x times the share of a normal distribution below it."""
    flat = np.ascontiguousarray(x).reshape(-1)
    out = np.empty_like(flat)
    for begin in range(0, len(flat), _BLOCK):
        out[begin : begin + _BLOCK] = _gelu(flat[begin : begin + _BLOCK])
    return out.reshape(x.shape)


def _gelu(x: np.ndarray) -> np.ndarray:
    size = np.abs(x) * np.float32(0.5**0.5)
    t = 1 / (1 + np.float32(_ERF_SCALE) * size)
    series = np.zeros_like(x)
    for coefficient in reversed(_ERF):
        series += np.float32(coefficient)
        series *= t
    series *= np.exp(-size * size)  # 1 - erf(size)
    return x * np.where(x < 0, series, 2 - series) * np.float32(0.5)


def softmax(x: np.ndarray) -> np.ndarray:
    """Along the last axis; -inf becomes 0."""
    weights = np.exp(x - x.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def heads_of(x: np.ndarray, heads: int) -> np.ndarray:
    """(..., L, heads * d) to (..., heads, L, d)."""
    return np.swapaxes(x.reshape(*x.shape[:-1], heads, -1), -3, -2)


def joined(x: np.ndarray) -> np.ndarray:
    """(..., heads, L, d) to (..., L, heads * d)."""
    turned = np.swapaxes(x, -3, -2)
    return turned.reshape(*turned.shape[:-2], -1)


def unit(x: np.ndarray) -> np.ndarray:
    """Rows of length 1; those of zeros stay."""
    return x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), np.float32(1e-12))
