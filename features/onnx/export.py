"""Export of torch modules to ONNX graphs, so that each architecture is written only once."""

from __future__ import annotations

import io
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

OPSET = 17


def export_onnx(
    module: nn.Module, inputs: Mapping[str, Tensor], axes: Mapping[str, tuple[str | None, ...]], outputs: Sequence[str] = ("out",)
) -> bytes:
    """Export the forward pass of a module.

    Parameters
    ----------
    module : nn.Module
        Any module; its training modes are restored.
    inputs : mapping of str to Tensor
        An example of each argument, in order. No axis may have length 1, which the exporter would take for a constant.
    axes : mapping of str to tuple of str or None
        For each argument, the names of its axes of variable length, None for an axis of fixed length.
    outputs : sequence of str
        Names of the outputs.

    Returns
    -------
    bytes
        The serialised graph.
    """
    buffer: Any = io.BytesIO()  # torch annotates paths only
    dynamic = {name: {i: axis for i, axis in enumerate(names) if axis} for name, names in axes.items()}
    modes, fast = {part: part.training for part in module.modules()}, torch.backends.mha.get_fastpath_enabled()
    module.eval()
    torch.backends.mha.set_fastpath_enabled(False)  # its kernels cannot be exported
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # torch warns that this exporter is deprecated; only it needs no onnxscript
            torch.onnx.export(
                module,
                tuple(inputs.values()),
                buffer,  # pyright: ignore[reportArgumentType]  # this exporter accepts a file object
                input_names=list(inputs),
                output_names=list(outputs),
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
    """Switch transformers layers to eager attention, whose operators every version of onnxruntime supports."""
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
