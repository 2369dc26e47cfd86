"""A GPU that is not there: tensors sent to "cuda" stay where they are, are marked, and behave as if they had gone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
# What torch itself allows across devices, and what only looks at two tensors.
ACROSS = {"copy_", "__setitem__", "_has_compatible_shallow_copy_type", "__deepcopy__"}


def on_gpu(value: object) -> bool:
    return getattr(value, "_on_gpu", False)


def marked(value: Any, there: bool) -> Any:
    """The value, its tensors marked as standing on the GPU or not."""
    if isinstance(value, Tensor):
        vars(value)["_on_gpu"] = there
    elif isinstance(value, list | tuple):
        for part in value:
            marked(part, there)
    return value


def tensors(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [tensor for part in parts for tensor in tensors(part)]


def is_device(value: object) -> bool:
    return isinstance(value, str | torch.device) and torch.device(value).type in ("cpu", "cuda")  # not meta, where models are made


class FakeGpu(TorchFunctionMode):
    """While it is entered, `to("cuda")` works, and tensors of two devices do not mix, as on a real one."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        name = getattr(func, "__name__", "")
        field = getattr(getattr(func, "__self__", None), "__name__", "") if name in ("__get__", "__set__") else ""
        if field in ("device", "is_cuda") and on_gpu(args[0]):
            return CUDA if field == "device" else True
        if field == "data" and name == "__set__":
            done = func(*args, **kwargs)
            marked(args[0], on_gpu(args[1]))
            return done
        if name in ("to", "cpu"):
            return self._moved(func, name, args, kwargs)
        if name in ("numpy", "__array__") and on_gpu(args[0]):
            raise TypeError("can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu() to copy the tensor to host memory first.")
        if is_device(kwargs.get("device")):
            there = torch.device(kwargs["device"]).type == "cuda"
            return marked(func(*args, **(kwargs | {"device": CPU})), there)
        return marked_result(func, name, args, kwargs)

    def _moved(self, func: Any, name: str, args: Any, kwargs: Any) -> Any:
        wanted = [value for value in (*args[1:], *kwargs.values()) if is_device(value) or isinstance(value, Tensor)]
        here = on_gpu(args[0])
        there = here if not wanted else on_gpu(wanted[0]) if isinstance(wanted[0], Tensor) else torch.device(wanted[0]).type == "cuda"
        there = there and name != "cpu"
        args = [CPU if is_device(value) else value for value in args]
        done = func(*args, **{key: CPU if is_device(value) else value for key, value in kwargs.items()})
        if there == here:
            return marked(done, there)
        return marked(done.clone() if done is args[0] else done, there)


def marked_result(func: Any, name: str, args: Any, kwargs: Any) -> Any:
    """What an operation gives, on its operands' device.

    Raises
    ------
    RuntimeError: they stand on two.
    """
    among = [args[0]] if name == "__deepcopy__" else tensors([*args, *kwargs.values()])
    there = any(map(on_gpu, among))
    index_here = name == "__getitem__" and on_gpu(args[0])  # an index may stay behind
    strangers = [tensor for tensor in among if not on_gpu(tensor) and tensor.ndim]
    if there and strangers and not index_here and name not in ACROSS:
        raise RuntimeError(f"Expected all tensors to be on the same device, but found at least two devices, cuda:0 and cpu! ({name})")
    if name in ("copy_", "__setitem__"):
        there = on_gpu(args[0])
    done = func(*args, **kwargs)
    return marked(done, there) if there or name == "copy_" else done
