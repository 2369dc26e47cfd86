"""A run as TensorBoard's event files."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class TensorboardRun:
    """Implements `recsys.tracking.run.Tracker`."""

    writer: Any

    @classmethod
    def start(cls, folder: Path, name: str, settings: Mapping[str, Any]) -> Self:
        """Start a run in a new folder below `folder`."""
        with warnings.catch_warnings():  # of TensorBoard's own libraries
            warnings.simplefilter("ignore")
            import tensorboard  # noqa: F401  (torch reports its absence without the module's name)
            from torch.utils.tensorboard.writer import SummaryWriter

            begun = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
            writer = SummaryWriter(str(folder / f"{name.replace(' ', '-')}-{begun}"))
            writer.add_text("settings", _table(settings))
        return cls(writer)

    def log(self, values: Mapping[str, float], step: int) -> None:
        """Log the values of a step."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, step)
        self.writer.flush()

    def finish(self, tags: Mapping[str, str], status: str) -> None:
        """End the run."""
        self.writer.add_text("run", _table({**tags, "status": status}))
        self.writer.close()


def _table(values: Mapping[str, Any]) -> str:
    """Return a Markdown table, which TensorBoard renders."""
    return "\n".join(["| key | value |", "|---|---|", *(f"| {name} | {value} |" for name, value in values.items())])
