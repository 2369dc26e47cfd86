"""Token states of texts after an encoder's lower layers: what item tower and cross-encoder are fed with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save

from features.storage.arrays import StoredArray, array_files, arrays_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor


@dataclass(frozen=True)
class TokenStates:
    """Hidden states of n texts in one ragged array.

    Attributes
    ----------
    offsets: text i owns tokens offsets[i]:offsets[i+1], int64 (n + 1,).
    states: float16 (total tokens, width); those that come from files are read as they are asked for.
    """

    offsets: np.ndarray
    states: np.ndarray | StoredArray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def arrays(self, texts: np.ndarray, most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """States of some texts: float32 (n, L, width) and the mask of real tokens, bool (n, L); at most `most` tokens a text."""
        lengths = np.diff(self.offsets)[texts]
        lengths = lengths if most is None else np.minimum(lengths, most)
        width = int(lengths.max(initial=1))
        place = np.arange(width)[None, :]
        mask = place < lengths[:, None]  # (n, L)
        # Padding repeats the text's own first token: no other row need be read for it. A text without tokens has none of its own.
        begin = np.minimum(self.offsets[:-1][texts], max(len(self.states) - 1, 0))
        index = begin[:, None] + np.where(mask, place, 0)
        return self.states[index].astype(np.float32), mask

    def padded(self, texts: np.ndarray, most: int | None = None) -> tuple[Tensor, Tensor]:
        """`arrays` for torch."""
        import torch

        states, mask = self.arrays(texts, most)
        return torch.from_numpy(states), torch.from_numpy(mask)

    def select(self, texts: np.ndarray, most: int | None = None) -> TokenStates:
        """Some of the texts, in the order given, each cut to `most` tokens."""
        lengths = np.diff(self.offsets)[texts]
        lengths = lengths if most is None else np.minimum(lengths, most)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        index = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][texts] - offsets[:-1], lengths)
        return TokenStates(offsets, self.states[index])

    @classmethod
    def join(cls, parts: Sequence[TokenStates]) -> TokenStates:
        """The texts of all parts, one after another."""
        lengths = np.concatenate([np.diff(part.offsets) for part in parts])
        states = np.concatenate([np.asarray(part.states) for part in parts])
        return cls(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), states)

    def to_files(self) -> dict[str, bytes]:
        """The offsets in safetensors, the states so that each text's can be read alone."""
        return {"offsets.safetensors": save({"offsets": self.offsets}), **array_files("states", np.asarray(self.states))}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> TokenStates:
        """What `to_files` made."""
        return cls(arrays_of(files, "offsets.safetensors")["offsets"], StoredArray(files, "states"))


@dataclass(frozen=True)
class ItemTokens:
    """Kept states by catalogue row: `states` of distinct texts, and each item's text, int64 (n_items,)."""

    states: TokenStates
    text_of: np.ndarray

    def arrays(self, rows: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
        """States (..., L, width) and mask (..., L) of rows of any shape; a row of -1 has no tokens."""
        hidden, mask = self.states.arrays(self.text_of[np.maximum(rows, 0)].ravel(), most)
        mask = mask.reshape(*rows.shape, -1) & (rows >= 0)[..., None]
        return hidden.reshape(*mask.shape, hidden.shape[-1]), mask

    def padded(self, rows: np.ndarray, most: int) -> tuple[Tensor, Tensor]:
        """`arrays` for torch."""
        import torch

        hidden, mask = self.arrays(rows, most)
        return torch.from_numpy(hidden), torch.from_numpy(mask)
