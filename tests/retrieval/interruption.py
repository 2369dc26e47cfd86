"""Cuts a training off, so that tests can resume it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import ModuleType

    import pytest


class Interrupted(Exception):
    """The training was cut off."""


def interrupt_at(step: int, trainer: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Cut a training off at a step, once, by its module's `_loss`; return a list that grows with each step."""
    steps: list[int] = []
    plain = trainer._loss

    def counted(*args: Any) -> Any:
        steps.append(1)
        if len(steps) == step:
            raise Interrupted
        return plain(*args)

    monkeypatch.setattr(trainer, "_loss", counted)
    return steps
