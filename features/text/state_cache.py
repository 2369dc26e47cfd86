"""A cache of token states on disk, so that each text passes the lower layers only once."""

from __future__ import annotations

import hashlib
import logging
import os
import uuid
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import safetensors
import safetensors.numpy

from features.progress import silent
from features.text.template import text_hashes
from features.text.token_states import TokenStates

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from features.progress import Progress
    from features.text.encoder import TextEncoder

_log = logging.getLogger(__name__)
PART = 2_048  # texts per file: the most that an interruption loses, and what a worker of a cluster takes at a time


def cached_states(encoder: TextEncoder, texts: Sequence[str], cache: Path, progress: Progress = silent) -> TokenStates:
    """Return the token states of distinct texts, in the given order; compute and add those that `cache` lacks.

    Any number of processes may do so at once.
    """
    folder = cache / f"states-{lower_fingerprint(encoder)}"
    folder.mkdir(parents=True, exist_ok=True)
    hashes = text_hashes(pl.Series(texts, dtype=pl.String))
    wanted = {key.tobytes(): i for i, key in enumerate(hashes)}
    rows: list[int] = []  # which text each of `parts` holds, in their order
    parts: list[TokenStates] = []
    for path in sorted(folder.glob("*.safetensors")):
        found = _read(path, wanted)
        if found is not None:
            rows += [wanted.pop(key) for key in found[0]]
            parts.append(found[1])
    missing = sorted(wanted.values())
    with progress("encoding texts", len(missing)) as step:
        for start in range(0, len(missing), PART):
            some = missing[start : start + PART]
            states = encoder.token_states([texts[i] for i in some], step)
            _write(folder, hashes[some], states)
            rows += some
            parts.append(states)
    return TokenStates.join(parts).select(np.argsort(rows)) if parts else encoder.token_states([])


def lower_fingerprint(encoder: TextEncoder) -> str:
    """Return a digest of all that the token states depend on, 24 hex digits."""
    digest = hashlib.sha256(f"{encoder.n_lower}|{encoder.config.max_tokens}|{encoder.tokenizer.to_str()}".encode())
    digest.update(encoder.sentence.passage_prompt.encode())
    layers = [f"encoder.layer.{i}." for i in range(encoder.n_lower)]
    for name, tensor in sorted(encoder.model.state_dict().items()):
        if name.startswith(("embeddings.", *layers)):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:24]


def _read(path: Path, wanted: Mapping[bytes, int]) -> tuple[list[bytes], TokenStates] | None:
    """Read the states of those texts of a file that are wanted, given by their hashes; None if there are none.

    The states are read only if there are some: the files of a large catalogue hold more than memory does.
    """
    try:
        with safetensors.safe_open(path, "numpy") as file:
            hashes = [key.tobytes() for key in file.get_tensor("hashes")]
            chosen = [row for row, key in enumerate(hashes) if key in wanted]
            if not chosen:
                return None
            states = TokenStates(file.get_tensor("offsets"), file.get_tensor("states")).select(np.array(chosen))
            return [hashes[row] for row in chosen], states
    except safetensors.SafetensorError:  # truncated by a power failure, for example
        _log.warning("%s is damaged and was removed; its texts are encoded again", path)
        path.unlink(missing_ok=True)
        return None


def _write(folder: Path, hashes: np.ndarray, part: TokenStates) -> None:
    """Write a file named by its texts: two processes that encode the same ones write the same file."""
    name = hashlib.sha256(hashes.tobytes()).hexdigest()[:24]
    temporary = folder / f"{name}.{uuid.uuid4().hex}.tmp"  # machines that share a cache have the same process ids
    temporary.write_bytes(safetensors.numpy.save({"hashes": hashes, "offsets": part.offsets, "states": np.asarray(part.states)}))
    os.replace(temporary, folder / f"{name}.safetensors")
