"""Token states of texts on disk, so that no text goes through the lower layers twice, whatever happens in between."""

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
PART = 8_192  # texts a file: a cut costs no more than these


def cached_states(encoder: TextEncoder, texts: Sequence[str], cache: Path, progress: Progress = silent) -> TokenStates:
    """States of distinct texts after the lower layers, in the order given; what `cache` has is read, the rest is made and added."""
    folder = cache / f"states-{lower_fingerprint(encoder)}"
    folder.mkdir(parents=True, exist_ok=True)
    place: dict[bytes, int] = {}
    parts: list[TokenStates] = []
    number = 0
    for path in sorted(folder.glob("*.safetensors")):
        number = int(path.stem) + 1
        try:
            arrays = safetensors.numpy.load(path.read_bytes())
        except safetensors.SafetensorError:  # cut short by a power failure, say: its texts are read again
            _log.warning("%s is damaged and was removed; it is made again", path)
            path.unlink()
            continue
        _add(place, arrays["hashes"], parts)
        parts.append(TokenStates(arrays["offsets"], arrays["states"]))
    hashes = text_hashes(pl.Series(texts, dtype=pl.String))
    missing = [i for i, key in enumerate(hashes) if key.tobytes() not in place]
    with progress("encoding texts", len(missing)) as step:
        for count, start in enumerate(range(0, len(missing), PART), number):
            some = missing[start : start + PART]
            kept = encoder.keep([texts[i] for i in some], step)
            _write(folder / f"{count:06}.safetensors", hashes[some], kept)
            _add(place, hashes[some], parts)
            parts.append(kept)
    order = np.array([place[key.tobytes()] for key in hashes], dtype=np.int64)
    return TokenStates.join(parts).select(order) if parts else encoder.keep([])


def lower_fingerprint(encoder: TextEncoder) -> str:
    """Of all that the kept states depend on: 24 hex digits."""
    digest = hashlib.sha256(f"{encoder.kept}|{encoder.config.max_tokens}|{encoder.tokenizer.to_str()}".encode())
    digest.update(encoder.sentence.passage_prompt.encode())
    layers = [f"encoder.layer.{i}." for i in range(encoder.kept)]
    for name, tensor in sorted(encoder.model.state_dict().items()):
        if name.startswith(("embeddings.", *layers)):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:24]


def _add(place: dict[bytes, int], hashes: np.ndarray, parts: Sequence[TokenStates]) -> None:
    """Note where the texts of a further part stand. Two trainings at once may both have kept a text, so `place` does not count them."""
    begin = sum(map(len, parts))
    for i, key in enumerate(hashes):
        place[key.tobytes()] = begin + i


def _write(path: Path, hashes: np.ndarray, kept: TokenStates) -> None:
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    temporary.write_bytes(safetensors.numpy.save({"hashes": hashes, "offsets": kept.offsets, "states": np.asarray(kept.states)}))
    os.replace(temporary, path)
