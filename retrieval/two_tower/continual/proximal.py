"""A proximal term: weights are pulled towards those that a training began with.

References
----------
Xuhong et al. 2018, "Explicit inductive bias for transfer learning with convolutional networks", ICML, arXiv 1802.01483:
L2-SP, which decays towards the starting point in place of zero.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch.optim import Optimizer


@dataclass(frozen=True)
class ProximalTerm:
    """L2-SP, decoupled from the gradient as weight decay is in AdamW: Adam would rescale a term in the loss.

    Attributes
    ----------
    strength : float
        After a step of learning rate r, the weights move by `r * strength` of the way to where they began.
    """

    strength: float

    def attach(self, optimizer: Optimizer) -> None:
        """Remember the present weights of an optimizer, and pull its weights towards them after each of its steps.

        Weights that begin at zero decay to zero, so that adapters (LoRA) are pulled towards the weights that they are added to.
        """
        if not self.strength:
            return
        begun = [[weight.detach().clone() for weight in group["params"]] for group in optimizer.param_groups]

        @torch.no_grad()
        def pull(done: Optimizer, _arguments: Any, _options: Any) -> None:
            for group, start in zip(done.param_groups, begun, strict=True):
                for weight, before in zip(group["params"], start, strict=True):
                    weight.lerp_(before, min(1.0, float(group["lr"]) * self.strength))

        optimizer.register_step_post_hook(pull)
