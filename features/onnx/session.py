"""Networks that answer: ONNX graphs, run by onnxruntime from bytes that were checked before."""

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
    """One graph with one output. Several threads may call it at once; each call runs in the thread that makes it."""

    def __init__(self, content: bytes, device: Device = "cpu") -> None:
        """Read a graph.

        Raises
        ------
        BundleError: the bytes are no graph.
        ConfigError: a GPU was asked for that onnxruntime cannot use.
        """
        provider = _PROVIDERS[device]
        if provider not in onnxruntime.get_available_providers():
            raise ConfigError(
                "serve.device is cuda, but onnxruntime finds no CUDA provider: install onnxruntime-gpu, or set serve.device to cpu"
            )
        options = onnxruntime.SessionOptions()
        # Answers run beside each other, a thread each: threads below them would only stand in each other's way.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # Every history has a length of its own: an arena and memory patterns would keep the largest of all of them.
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        options.log_severity_level = _ERRORS_ONLY
        try:
            self._session = onnxruntime.InferenceSession(content, options, [provider])
        except Exception as error:  # onnxruntime's own exceptions have no common base
            raise BundleError(f"a network cannot be read ({str(error)[:80]!r}): run `recsys build-index`, or roll back") from error
        self._session._model_bytes = None  # it would be kept for another provider to fall back on: as much again as the weights take

    def __call__(self, **inputs: np.ndarray) -> np.ndarray:
        """The output for arrays by the names of the graph's inputs."""
        return self._session.run(None, inputs)[0]
