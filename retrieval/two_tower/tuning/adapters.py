"""Small trained parts of a frozen text encoder, by peft, that end merged into its weights.

- lora: low-rank updates of queries and values (Hu et al. 2021, arXiv 2106.09685).
- adalora: low-rank updates whose ranks move to the layers where they help (Zhang et al. 2023, arXiv 2303.10512).
- ia3: factors of keys, values and feed-forward states (Liu et al. 2022, arXiv 2205.05638).

Adapters with a non-linearity between their two matrices and prefixes of keys and values are not here: no weight of a BERT
can hold them, so an answer would cost more and the ONNX graph would need another form (docs/decisions/126).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

import torch
from peft import AdaLoraConfig, AdaLoraModel, IA3Config, IA3Model, LoraConfig, LoraModel
from torch import nn

if TYPE_CHECKING:
    from torch import Tensor

AdapterName = Literal["lora", "adalora", "ia3"]
ADAPTERS: tuple[AdapterName, ...] = get_args(AdapterName)
_ADAPTER = "default"  # peft's name of a model's only adapter
_QUERY_VALUE = ["query", "value"]
_FEED_FORWARD = r".*\.layer\.\d+\.output\.dense"
_WARM, _FINAL = 0.1, 0.3  # shares of AdaLoRA's steps before ranks fall, and after they have fallen
ORTHOGONAL = 0.1  # weight of AdaLoRA's penalty, as in section 4 of the paper


class Adapter:
    """An adapter in a text encoder's model, which holds its weights from now on.

    Parameters
    ----------
    model : nn.Module
        A BERT of transformers; its own weights are frozen.
    name : str
        See the module.
    steps : int
        Steps of the whole training; AdaLoRA's ranks fall along them.
    """

    def __init__(self, model: nn.Module, name: AdapterName, steps: int) -> None:
        self.tuner: Any
        self.allocation: RankAllocation | None = None
        if name == "lora":  # r and alpha as in section 7 of the paper
            self.tuner = LoraModel(model, LoraConfig(r=8, lora_alpha=16, target_modules=_QUERY_VALUE), _ADAPTER)
        elif name == "ia3":
            targets = rf"(.*\.(key|value)|{_FEED_FORWARD})"
            self.tuner = IA3Model(model, IA3Config(target_modules=targets, feedforward_modules=_FEED_FORWARD), _ADAPTER)
        else:
            # The update of rank 12 is scaled by 24 / 12, as that of `lora`.
            config = AdaLoraConfig(init_r=12, target_r=8, lora_alpha=24, target_modules=_QUERY_VALUE, total_step=steps)
            config.tinit, config.tfinal = int(_WARM * steps), min(steps - 1, math.ceil(_FINAL * steps))
            self.tuner = AdaLoraModel(model, config, _ADAPTER)
            self.allocation = RankAllocation(self.tuner)

    def penalty(self) -> Tensor | float:
        """Return what is added to the loss: for AdaLoRA, how far its singular vectors are from orthogonal."""
        # peft adds it to the loss of a model's forward pass, which the towers' training never calls.
        return 0.0 if self.allocation is None else ORTHOGONAL * self.allocation.penalty()

    def after_step(self, step: int) -> None:
        """Let AdaLoRA allocate its ranks: after the optimizer's step (from 0), while the gradients are there."""
        if self.allocation is not None:
            self.allocation.update(step)

    def merge(self) -> nn.Module:
        """Merge the adapter into the weights, and return the plain model."""
        return self.tuner.merge_and_unload()


class RankAllocation(nn.Module):
    """AdaLoRA's allocation of ranks, with its state in buffers so that a checkpoint has it.

    Without `update` after every step, AdaLoRA is LoRA of its initial rank, and nothing says so.

    Parameters
    ----------
    tuner : AdaLoraModel
    """

    def __init__(self, tuner: AdaLoraModel) -> None:
        super().__init__()
        self._tuner = (tuner,)  # in a tuple, so that its weights are not this module's
        for place, (_, weight) in enumerate(self._weights()):
            self.register_buffer(f"sensitivity{place}", torch.zeros_like(weight))
            self.register_buffer(f"uncertainty{place}", torch.zeros_like(weight))
        for place, (_, weight) in enumerate(self._singular_values()):
            self.register_buffer(f"kept{place}", torch.ones(len(weight), dtype=torch.bool, device=weight.device))

    def _weights(self) -> list[tuple[str, nn.Parameter]]:
        model = self._tuner[0].model
        return [(name, weight) for name, weight in model.named_parameters() if "lora_" in name and weight.requires_grad]

    def _singular_values(self) -> list[tuple[str, nn.Parameter]]:
        return [(name, weight) for name, weight in self._weights() if f"lora_E.{_ADAPTER}" in name]

    def ranks(self) -> dict[str, int]:
        """Return the rank of each layer's update by the name of its singular values."""
        return {name: int(getattr(self, f"kept{place}").sum()) for place, (name, _) in enumerate(self._singular_values())}

    def update(self, step: int) -> None:
        """Update the importance of each rank by the gradients, and zero the ranks beyond the step's budget."""
        tuner = self._tuner[0]
        allocator, config = tuner.rankallocator, cast("AdaLoraConfig", tuner.peft_config[_ADAPTER])
        names = [name for name, _ in self._weights()]
        values = [name for name, _ in self._singular_values()]
        for place, (name, weight) in enumerate(self._weights()):
            allocator.ipt[name] = torch.zeros_like(weight)  # peft starts from zero where this is missing
            allocator.exp_avg_ipt[name] = getattr(self, f"sensitivity{place}")
            allocator.exp_avg_unc[name] = getattr(self, f"uncertainty{place}")
        config.rank_pattern = {name: getattr(self, f"kept{place}").tolist() for place, name in enumerate(values)}
        tuner.update_and_allocate(step)
        for place, name in enumerate(names):
            if name in allocator.exp_avg_ipt:  # peft forgets them once the ranks are final
                getattr(self, f"sensitivity{place}").copy_(allocator.exp_avg_ipt[name])
                getattr(self, f"uncertainty{place}").copy_(allocator.exp_avg_unc[name])
        for place, name in enumerate(values):
            getattr(self, f"kept{place}").copy_(torch.tensor(config.rank_pattern[name], dtype=torch.bool))

    def penalty(self) -> Tensor:
        """Return the mean distance of P'P and QQ' from the identity, in the Frobenius norm."""
        parts = []
        for name, weight in self._weights():
            if f"lora_E.{_ADAPTER}" not in name:
                gram = weight @ weight.T if f"lora_A.{_ADAPTER}" in name else weight.T @ weight
                parts.append(torch.linalg.matrix_norm(gram - torch.eye(len(gram), device=gram.device)))
        return torch.stack(parts).mean()
