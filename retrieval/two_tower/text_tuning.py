"""Fine-tuning of the text encoder: pooled vectors of a catalogue's distinct texts, with gradients for some of them.

Ways of tuning:

- frozen: no weights are trained.
- upper: the upper layers are trained on cached token states of the lower ones, which a CPU can afford.
- lora, adalora, ia3: small parts of all layers are trained (`retrieval.two_tower.tuning.adapters`), and merged at the end.
- full: all weights are trained.

Adversarial training adds the loss of the same batch with the states that enter the trained layers moved in the direction
that raises it most (the fast gradient method, as Miyato et al. 2017, arXiv 1605.07725, use it on word embeddings).
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import torch
from torch.nn import functional as F

from features.text.encoder import TOKENS_A_BATCH, length_batches, pooled, run_layers
from retrieval.two_tower.tuning.adapters import ADAPTERS, Adapter

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

    from features.text.encoder import TextEncoder
    from features.text.token_states import TokenStates
    from retrieval.two_tower.tuning.augmentation import Augmentation

Tuning = Literal["frozen", "upper", "lora", "adalora", "ia3", "full"]
ALL_LAYERS: tuple[Tuning, ...] = (*ADAPTERS, "full")  # the ways that change the lower layers too


class _Inputs(NamedTuple):
    """What enters the trained layers for a batch of texts.

    Attributes
    ----------
    source : token ids int64 (n, L), or states float32 (n, L, width) below the upper layers.
    mask : whether a token is read, bool (n, L).
    """

    source: Tensor
    mask: Tensor


class TrainableTexts:
    """Distinct texts with their pooled vectors, and a text encoder that is tuned on them.

    Parameters
    ----------
    encoder : TextEncoder
        Tuned in place.
    texts : sequence of str
        The n distinct texts.
    states : TokenStates
        Token states of the encoder's lower layers for the texts.
    tuning : str
        The weights that are trained, see the module.
    augmentation : Augmentation, optional
        Changes the texts at random wherever they are encoded with a gradient.
    adversarial : float
        Length of an adversarial step as a share of the length of a text's states; 0 takes none.

    Attributes
    ----------
    pooled : float32 (n, width)
        Pooled vectors as of the last `refresh`.
    """

    def __init__(
        self,
        encoder: TextEncoder,
        texts: Sequence[str],
        states: TokenStates,
        tuning: Tuning,
        augmentation: Augmentation | None = None,
        adversarial: float = 0.0,
    ) -> None:
        self.encoder, self.states = encoder, states
        self.tuning: Tuning = tuning
        self.augmentation, self.adversarial = augmentation, adversarial
        self.tokens: list[list[int]] = encoder.tokens(texts) if tuning in ALL_LAYERS else []
        self.pooled = encoder.pool(states)
        self.adapter: Adapter | None = None
        self._inputs: _Inputs | None = None
        self._entered: Tensor | None = None
        self._step: Tensor | None = None

    def trainable(self, steps: int = 1) -> list[nn.Parameter]:
        """Unfreeze the weights that are trained, for a training of so many steps, and return them."""
        model = self.encoder.model
        model.requires_grad_(False)
        if self.tuning == "upper":
            for layer in self.encoder.upper_layers:
                layer.requires_grad_(True)
        elif self.tuning == "full":
            model.requires_grad_(True)
        elif self.tuning != "frozen":  # `finish` merges the adapter into the weights
            self.adapter = Adapter(model, self.tuning, steps)
        return [weight for weight in model.parameters() if weight.requires_grad]

    def modules(self) -> dict[str, nn.Module]:
        """Return what a checkpoint of the tuning must hold."""
        found: dict[str, nn.Module] = {"encoder": self.encoder.model}
        if self.adapter is not None and self.adapter.allocation is not None:
            found["ranks"] = self.adapter.allocation
        return found

    def penalty(self) -> Tensor | float:
        """Return what an adapter adds to the loss."""
        return 0.0 if self.adapter is None else self.adapter.penalty()

    def after_step(self, step: int) -> None:
        """Tell an adapter that the optimizer took a step (from 0); the gradients must still be there."""
        if self.adapter is not None:
            self.adapter.after_step(step)

    def encode(self, rows: np.ndarray) -> Tensor:
        """Return pooled vectors (m, width) of text rows (m,), augmented, with a gradient to the encoder."""
        if self._step is None or self._inputs is None:
            self._inputs = self._plain(rows) if self.augmentation is None else self._augmented(rows, self.augmentation)
        return self._run(self._inputs)

    def _plain(self, rows: np.ndarray) -> _Inputs:
        device = self.encoder.device
        if self.tuning == "upper":
            hidden, mask = self.states.padded(rows)
            return _Inputs(hidden.to(device), mask.to(device))
        return _Inputs(*self.encoder.batch([self.tokens[i] for i in rows]))

    def _augmented(self, rows: np.ndarray, augmentation: Augmentation) -> _Inputs:
        device = self.encoder.device
        drawn = augmentation.draw(rows)
        if self.tuning == "upper":
            source, mask = self._plain(rows)
            if drawn.reworded:
                places = torch.tensor(list(drawn.reworded), device=device)
                ids, other = self.encoder.batch(list(drawn.reworded.values()))
                with torch.no_grad():
                    hidden = self.encoder.lower(ids, other)
                more = max(source.shape[1], hidden.shape[1])
                source, mask = F.pad(source, (0, 0, 0, more - source.shape[1])), F.pad(mask, (0, more - mask.shape[1]))
                source[places] = F.pad(hidden, (0, 0, 0, more - hidden.shape[1]))
                mask[places] = F.pad(other, (0, more - other.shape[1]))
        else:
            tokens = [self.tokens[row] for row in rows]
            for place, ids in drawn.reworded.items():
                tokens[place] = ids
            source, mask = self.encoder.batch(tokens)
        return _Inputs(source, mask & drawn.kept(mask.shape[1]).to(device))

    def _run(self, inputs: _Inputs) -> Tensor:
        """Run the layers above the inputs and pool."""
        encoder = self.encoder
        with autocast(encoder.device):
            below = inputs.source.is_floating_point()
            hidden = inputs.source if below else encoder.model.embeddings(input_ids=inputs.source)
            if self.adversarial and torch.is_grad_enabled():
                hidden = self._moved(hidden)
            layers = encoder.upper_layers if below else list(encoder.model.encoder.layer)
            return pooled(run_layers(layers, hidden, inputs.mask), inputs.mask, encoder.sentence.pooling).float()

    def _moved(self, hidden: Tensor) -> Tensor:
        if self._step is not None:
            return hidden + self._step
        hidden = hidden if hidden.requires_grad else hidden.requires_grad_()
        hidden.retain_grad()
        self._entered = hidden
        return hidden

    @contextmanager
    def moved(self) -> Iterator[None]:
        """Encode the last batch again, its states moved along the gradient that the backward pass has left."""
        assert self._entered is not None
        assert self._inputs is not None
        gradient, mask = self._entered.grad, self._inputs.mask[..., None]
        assert gradient is not None
        gradient = gradient.float() * mask
        length = torch.linalg.vector_norm(self._entered.detach().float() * mask, dim=(1, 2), keepdim=True)
        steepness = torch.linalg.vector_norm(gradient, dim=(1, 2), keepdim=True).clamp_min(1e-30)
        self._step = (self.adversarial * length / steepness * gradient).to(self._entered.dtype)
        try:
            yield
        finally:
            self._step = self._inputs = self._entered = None

    @torch.inference_mode()
    def refresh(self) -> None:
        """Recompute `pooled` with the current weights, without dropout and augmentation."""
        self.encoder.eval()
        if self.tuning == "upper":
            self.pooled = self.encoder.pool(self.states)
        elif self.tuning in ALL_LAYERS:
            most = TOKENS_A_BATCH[self.encoder.device.type]
            for rows in length_batches(np.array([len(ids) for ids in self.tokens]), most):
                self.pooled[rows] = self._run(self._plain(np.array(rows))).cpu().numpy()

    def finish(self) -> None:
        """Merge adapters into the weights, and freeze the encoder."""
        if self.adapter is not None:
            self.encoder.model = self.adapter.merge()
            self.adapter = None
        self.encoder.model.requires_grad_(False)
        self.encoder.eval()


def autocast(device: torch.device) -> AbstractContextManager:
    """Return a context of bfloat16 on a GPU, of float32 on a CPU, where bfloat16 can be ten times slower."""
    return torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext()
