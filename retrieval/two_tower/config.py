"""Configuration of the two towers: their sizes and their training."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

if TYPE_CHECKING:
    from collections.abc import Mapping


class TowerConfig(BaseModel):
    """Sizes of the towers.

    Attributes
    ----------
    dim : int
        Dimensions of the shared space.
    hidden, layers, heads, dropout
        Sizes of the user encoder's transformer.
    history : int
        The user encoder sees at most so many items or events of a history, the newest.
    user_encoder : str
        Over the "set" of distinct items or the "sequence" of events; "auto" chooses by the shop's log
        (`recsys.settings.auto`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    dim: int = Field(default=128, ge=8)
    hidden: int = Field(default=128, ge=8)
    layers: int = Field(default=2, ge=1)
    heads: int = Field(default=4, ge=1)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    history: int = Field(default=64, ge=1)
    user_encoder: Literal["auto", "set", "sequence"] = "auto"

    @classmethod
    def from_stored(cls, values: Mapping[str, Any]) -> TowerConfig:
        """Return the configuration of a stored tower; older versions stored `user_encoder` as `reads`."""
        return cls(**{"user_encoder" if name == "reads" else name: value for name, value in values.items()})


class AugmentConfig(BaseModel):
    """Random changes of item texts while the text encoder is tuned.

    Attributes
    ----------
    word_drop : float
        Probability with which a word is dropped.
    synonyms : float
        Probability with which a word of the thesaurus is replaced by a synonym.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    word_drop: float = Field(default=0.0, ge=0, lt=1)
    synonyms: float = Field(default=0.0, ge=0, le=1)


class TrainConfig(BaseModel):
    """Parameters of the towers' training.

    Attributes
    ----------
    users : int
        Users of a batch.
    moments : int
        Moments of the log over which the users of a window batch are spread.
    positives : int
        Positives of a user in a window batch.
    negatives : int
        Sampled negatives of a batch.
    hard_negatives : int
        Hard negatives of a user, mined again every epoch.
    lr, encoder_lr, adapter_lr : float
        Peak learning rates of the towers, of the text encoder, and of its adapters.
    weight_decay : float
        Of AdamW.
    id_dropout : float
        Dropout of whole item id vectors, so that items without one are scored well too.
    warmup : float
        Share of the steps over which the learning rate rises.
    epochs, tuned_epochs : int
        Epochs of the towers alone, then of the text encoder.
    last_epochs : int
        Epochs of sequence encoders on the whole log, after everything else is fitted.
    ensemble : int
        Sequence towers of different seeds whose mean scores the kept one learns, so that answers cost the same; 1: none.
    steps_per_epoch : int
        Batches of an epoch.
    patience : int
        Epochs without improvement after which a phase stops.
    tuning : str
        Weights of the text encoder that are trained, see `retrieval.two_tower.text_tuning`; "auto" takes upper on a
        CPU, and on a GPU lora with the quick preset and full with the full one.
    texts_a_step : int
        About so many texts are encoded in a step that tunes the encoder.
    accumulate : int
        Batches over which gradients are accumulated.
    augment : AugmentConfig
    adversarial : float
        Length of an adversarial step as a share of the length of a text's states; 0 takes none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    users: int = Field(default=128, ge=1)
    moments: int = Field(default=32, ge=1)
    positives: int = Field(default=8, ge=1)
    negatives: int = Field(default=2048, ge=1)
    hard_negatives: int = Field(default=0, ge=0)
    lr: float = Field(default=3e-3, gt=0)
    encoder_lr: float = Field(default=2e-5, gt=0)
    adapter_lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    id_dropout: float = Field(default=0.2, ge=0, lt=1)
    warmup: float = Field(default=0.05, ge=0, le=1)
    epochs: int = Field(default=6, ge=1)
    tuned_epochs: int = Field(default=1, ge=0)
    last_epochs: int = Field(default=0, ge=0)
    ensemble: int = Field(default=1, ge=1)
    steps_per_epoch: int = Field(default=40, ge=1)
    patience: int = Field(default=3, ge=1)
    tuning: Literal["auto", "frozen", "upper", "lora", "adalora", "ia3", "full"] = "auto"
    texts_a_step: int = Field(default=256, ge=1)
    accumulate: int = Field(default=1, ge=1)
    augment: AugmentConfig = AugmentConfig()
    adversarial: float = Field(default=0.0, ge=0, lt=1)
