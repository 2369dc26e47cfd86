"""Inference over ONNX graphs with onnxruntime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import onnxruntime

from features.errors import BundleError, ConfigError

if TYPE_CHECKING:
    import numpy as np

Device = Literal["cpu", "cuda"]
_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}
_ERRORS_ONLY = 3


class OnnxSession:
    """A graph. Calls are thread-safe, and each runs in the calling thread."""

    def __init__(self, content: bytes, device: Device = "cpu") -> None:
        """Load a graph from verified bytes.

        Raises
        ------
        BundleError
            If the bytes are not a graph.
        ConfigError
            If the device is cuda and onnxruntime has no CUDA provider.
        """
        provider = _PROVIDERS[device]
        if provider not in onnxruntime.get_available_providers():
            raise ConfigError(
                "serve.device is cuda, but onnxruntime finds no CUDA provider: install onnxruntime-gpu, or set serve.device to cpu"
            )
        options = onnxruntime.SessionOptions()
        # Requests run in parallel, one thread each; more threads below them would only compete.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # Histories differ in length; an arena and memory patterns would hold memory for the longest of all.
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        options.log_severity_level = _ERRORS_ONLY
        try:
            self._session = onnxruntime.InferenceSession(content, options, [provider])
        except Exception as error:  # onnxruntime's own exceptions have no common base
            raise BundleError(f"a network cannot be read ({str(error)[:80]!r}): run `recsys build-index`, or roll back") from error
        self._session._model_bytes = None  # a copy for fallback providers, as large as the weights

    def __call__(self, **inputs: np.ndarray) -> np.ndarray:
        """Run the graph on arrays, given by the names of its inputs; return its first output."""
        return self.all(**inputs)[0]

    def all(self, **inputs: np.ndarray) -> list[np.ndarray]:
        """Run the graph and return all outputs."""
        return self._session.run(None, inputs)
