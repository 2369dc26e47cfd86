"""A cache of token states on disk, so that each text passes the lower layers only once."""

from __future__ import annotations

import hashlib
import logging
import os
from typing import TYPE_CHECKING

import numpy as np
import polars as pl
import safetensors
import safetensors.numpy

from features.progress import silent
from features.text.template import text_hashes
from features.text.token_states import TokenStates

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from features.progress import Progress
    from features.text.encoder import TextEncoder

_log = logging.getLogger(__name__)
PART = 8_192  # texts per file, and the most that an interruption loses


def cached_states(encoder: TextEncoder, texts: Sequence[str], cache: Path, progress: Progress = silent) -> TokenStates:
    """Return the token states of distinct texts, in the given order; compute and add those that `cache` lacks."""
    folder = cache / f"states-{lower_fingerprint(encoder)}"
    folder.mkdir(parents=True, exist_ok=True)
    place: dict[bytes, int] = {}
    parts: list[TokenStates] = []
    number = 0
    for path in sorted(folder.glob("*.safetensors")):
        number = int(path.stem) + 1
        try:
            arrays = safetensors.numpy.load(path.read_bytes())
        except safetensors.SafetensorError:  # truncated by a power failure, for example
            _log.warning("%s is damaged and was removed; its texts are encoded again", path)
            path.unlink()
            continue
        _add(place, arrays["hashes"], parts)
        parts.append(TokenStates(arrays["offsets"], arrays["states"]))
    hashes = text_hashes(pl.Series(texts, dtype=pl.String))
    missing = [i for i, key in enumerate(hashes) if key.tobytes() not in place]
    with progress("encoding texts", len(missing)) as step:
        for count, start in enumerate(range(0, len(missing), PART), number):
            some = missing[start : start + PART]
            states = encoder.token_states([texts[i] for i in some], step)
            _write(folder / f"{count:06}.safetensors", hashes[some], states)
            _add(place, hashes[some], parts)
            parts.append(states)
    order = np.array([place[key.tobytes()] for key in hashes], dtype=np.int64)
    return TokenStates.join(parts).select(order) if parts else encoder.token_states([])


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


def _add(place: dict[bytes, int], hashes: np.ndarray, parts: Sequence[TokenStates]) -> None:
    """Add the positions of a part's texts to `place`.

    Two trainings at once may both have stored a text, so the length of `place` is not the number of stored texts.
    """
    begin = sum(map(len, parts))
    for i, key in enumerate(hashes):
        place[key.tobytes()] = begin + i


def _write(path: Path, hashes: np.ndarray, part: TokenStates) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_bytes(safetensors.numpy.save({"hashes": hashes, "offsets": part.offsets, "states": np.asarray(part.states)}))
    os.replace(temporary, path)
