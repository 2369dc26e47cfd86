"""Torch modules to ONNX graphs: architecture is written once, in torch, and answered from the graph."""

from __future__ import annotations

import io
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

OPSET = 17


def export_onnx(module: nn.Module, inputs: Mapping[str, Tensor], axes: Mapping[str, tuple[str | None, ...]]) -> bytes:
    """The graph of a module's forward.

    inputs: an example of each argument, in order; no axis of length 1, which would be taken for a constant. axes: of each argument the
    names of the axes whose length varies, None for those whose length does not.
    """
    buffer: Any = io.BytesIO()  # torch's annotation knows paths alone
    dynamic = {name: {i: axis for i, axis in enumerate(names) if axis} for name, names in axes.items()}
    modes, fast = {part: part.training for part in module.modules()}, torch.backends.mha.get_fastpath_enabled()
    module.eval()
    torch.backends.mha.set_fastpath_enabled(False)  # its kernels have no ONNX form
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # the exporter of traced graphs is the one that needs no onnxscript; torch says it is old
            torch.onnx.export(
                module,
                tuple(inputs.values()),
                buffer,  # pyright: ignore[reportArgumentType]  # the traced exporter takes a file
                input_names=list(inputs),
                output_names=["out"],
                dynamic_axes=dynamic,
                opset_version=OPSET,
                dynamo=False,
            )
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
        for part, mode in modes.items():
            part.training = mode
    return buffer.getvalue()


@contextmanager
def eager_attention(layers: Iterable[nn.Module]) -> Iterator[None]:
    """For transformers' layers: attention in plain steps, which every version of onnxruntime knows."""
    configs: dict[int, Any] = {}
    for layer in layers:
        for module in layer.modules():
            config = getattr(module, "config", None)
            if hasattr(config, "_attn_implementation"):
                configs[id(config)] = config
    before = {key: config._attn_implementation for key, config in configs.items()}
    try:
        for config in configs.values():
            config._attn_implementation = "eager"
        yield
    finally:
        for key, config in configs.items():
            config._attn_implementation = before[key]
