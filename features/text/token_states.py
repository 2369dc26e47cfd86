"""Token states: hidden states of texts after the encoder's lower layers, as inputs of item tower and cross-encoder."""

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
    offsets : int64 (n + 1,)
        Text i has the tokens offsets[i]:offsets[i+1].
    states : float16 (tokens, width)
        Hidden states. A `StoredArray` reads them on access.
    """

    offsets: np.ndarray
    states: np.ndarray | StoredArray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def arrays(self, texts: np.ndarray, most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Return the padded states of some texts.

        Parameters
        ----------
        texts : int (n,)
            Indices of texts.
        most : int, optional
            Longest text in tokens; the rest is truncated.

        Returns
        -------
        states : float32 (n, L, width)
            Hidden states; padding is arbitrary.
        mask : bool (n, L)
            Whether a token is real.
        """
        lengths = np.diff(self.offsets)[texts]
        lengths = lengths if most is None else np.minimum(lengths, most)
        width = int(lengths.max(initial=1))
        place = np.arange(width)[None, :]
        mask = place < lengths[:, None]  # (n, L)
        # Padding repeats the first token of the text, so that it needs no other row. An empty text takes another text's
        # token.
        begin = np.minimum(self.offsets[:-1][texts], max(len(self.states) - 1, 0))
        index = begin[:, None] + np.where(mask, place, 0)
        return self.states[index].astype(np.float32), mask

    def padded(self, texts: np.ndarray, most: int | None = None) -> tuple[Tensor, Tensor]:
        """Return the result of `arrays` as tensors."""
        import torch

        states, mask = self.arrays(texts, most)
        return torch.from_numpy(states), torch.from_numpy(mask)

    def select(self, texts: np.ndarray, most: int | None = None) -> TokenStates:
        """Select texts, int (m,), in the given order, each truncated to `most` tokens."""
        lengths = np.diff(self.offsets)[texts]
        lengths = lengths if most is None else np.minimum(lengths, most)
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        index = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][texts] - offsets[:-1], lengths)
        return TokenStates(offsets, self.states[index])

    @classmethod
    def join(cls, parts: Sequence[TokenStates]) -> TokenStates:
        """Concatenate the texts of all parts."""
        lengths = np.concatenate([np.diff(part.offsets) for part in parts])
        states = np.concatenate([np.asarray(part.states) for part in parts])
        return cls(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64), states)

    def to_files(self) -> dict[str, bytes]:
        """Return the offsets as safetensors, and the states so that each text can be read alone."""
        return {"offsets.safetensors": save({"offsets": self.offsets}), **array_files("states", np.asarray(self.states))}

    @classmethod
    def from_files(cls, files: Mapping[str, bytes]) -> TokenStates:
        """Read the files of `to_files`."""
        return cls(arrays_of(files, "offsets.safetensors")["offsets"], StoredArray(files, "states"))


@dataclass(frozen=True)
class ItemTokens:
    """Token states by catalogue row.

    Attributes
    ----------
    states : TokenStates
        States of the distinct texts.
    text_of : int64 (n_items,)
        Index of each item's text.
    """

    states: TokenStates
    text_of: np.ndarray

    @classmethod
    def of_texts(cls, states: TokenStates) -> ItemTokens:
        """Return texts that belong to no catalogue, such as passages: row i is text i."""
        return cls(states, np.arange(len(states)))

    def arrays(self, rows: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
        """Return states (..., L, width) and mask (..., L) of rows of any shape; a row of -1 has no tokens."""
        hidden, mask = self.states.arrays(self.text_of[np.maximum(rows, 0)].ravel(), most)
        mask = mask.reshape(*rows.shape, -1) & (rows >= 0)[..., None]
        return hidden.reshape(*mask.shape, hidden.shape[-1]), mask

    def padded(self, rows: np.ndarray, most: int) -> tuple[Tensor, Tensor]:
        """Return the result of `arrays` as tensors."""
        import torch

        hidden, mask = self.arrays(rows, most)
        return torch.from_numpy(hidden), torch.from_numpy(mask)
