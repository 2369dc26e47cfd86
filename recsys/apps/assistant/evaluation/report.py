"""What a replay of dialogues came to: figures with intervals, as JSON and as a table."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.markup import escape
from rich.table import Table
from scipy.stats import binom, binomtest

if TYPE_CHECKING:
    from collections.abc import Sequence

OUTCOMES = ("answered", "asked", "unanswered", "handed_over")
LEVEL = 0.95
SHOWN = 20  # failures in the table


@dataclass(frozen=True)
class TurnResult:
    """What one turn came to.

    Attributes
    ----------
    problems : what was not as expected.
    unsupported : facts and numbers of the reply that nothing supports.
    """

    say: str
    text: str
    outcome: str
    seconds: float
    problems: tuple[str, ...] = ()
    unsupported: tuple[str, ...] = ()


@dataclass(frozen=True)
class DialogueResult:
    """What one dialogue came to."""

    name: str
    kind: str
    language: str
    turns: tuple[TurnResult, ...]

    @property
    def right(self) -> bool:
        """Whether all turns came to what they must."""
        return not any(turn.problems for turn in self.turns)


@dataclass(frozen=True)
class AssistantReport:
    """The figures of a replay.

    Attributes
    ----------
    left_out : one line of text for each line of the file that was no dialogue.
    """

    dialogues: tuple[DialogueResult, ...]
    bundle_id: str
    left_out: tuple[str, ...] = ()
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def turns(self) -> list[TurnResult]:
        """All turns."""
        return [turn for dialogue in self.dialogues for turn in dialogue.turns]

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """Figures over all dialogues; times in seconds."""
        turns = self.turns
        found = {"right": _right(self.dialogues)}
        found |= {name: share(sum(turn.outcome == name for turn in turns), len(turns)) for name in OUTCOMES}
        unsupported = float(sum(len(turn.unsupported) for turn in turns))
        found["unsupported_facts"] = {"value": unsupported, "low": unsupported, "high": unsupported}
        seconds = np.sort([turn.seconds for turn in turns])
        return found | {f"seconds_p{percent}": _quantile(seconds, percent / 100) for percent in (50, 99)}

    def slices(self) -> dict[str, dict[str, Any]]:
        """Share of right dialogues by kind and by language."""
        found: dict[str, dict[str, Any]] = {}
        for by in ("kind", "language"):
            for value in sorted({getattr(one, by) for one in self.dialogues}):
                some = [one for one in self.dialogues if getattr(one, by) == value]
                found[f"{by}: {value}"] = {"metrics": {"right": _right(some)}, "dialogues": len(some)}
        return found

    def failures(self) -> list[dict[str, Any]]:
        """Turns that did not come to what they must."""
        return [
            {
                "dialogue": one.name,
                "kind": one.kind,
                "turn": number,
                "say": turn.say,
                "reply": turn.text,
                "problems": [*turn.problems],
                "unsupported": [*turn.unsupported],
            }
            for one in self.dialogues
            for number, turn in enumerate(one.turns, 1)
            if turn.problems or turn.unsupported
        ]

    def to_json(self) -> str:
        """Return the stable form of `--json`."""
        content = {
            "metrics": self.metrics,
            "slices": self.slices(),
            "baselines": {},
            "dialogues": len(self.dialogues),
            "turns": len(self.turns),
            "bundle_id": self.bundle_id,
            "left_out": list(self.left_out),
            "failures": self.failures(),
            **self.about,
        }
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"

    def table(self) -> Table:
        """Return what the command prints."""
        grid = Table("", "value", "95% interval", box=None, header_style="bold")
        for name, value in self.metrics.items():
            digits = 0 if name == "unsupported_facts" else 3
            grid.add_row(name.replace("_", " "), f"{value['value']:.{digits}f}", f"{value['low']:.{digits}f} to {value['high']:.{digits}f}")
        for name, one in self.slices().items():
            right = one["metrics"]["right"]
            grid.add_row(f"right, {name} ({one['dialogues']})", f"{right['value']:.3f}", f"{right['low']:.3f} to {right['high']:.3f}")
        grid.caption = escape("\n".join(self.failure_lines())) or None
        grid.caption_justify = "left"
        grid.title = f"{len(self.dialogues):,} dialogues, {len(self.turns):,} turns"
        return grid

    def failure_lines(self) -> list[str]:
        """Return one line for each turn that failed, the first ones."""
        failed = self.failures()
        lines = [
            f"{one['dialogue']}, turn {one['turn']} ({one['say'][:60]!r}): {'; '.join([*one['problems'], *one['unsupported']])}"
            for one in failed
        ]
        more = [f"and {len(lines) - SHOWN:,} more: --json has all"] if len(lines) > SHOWN else []
        return lines[:SHOWN] + more


def share(count: int, total: int) -> dict[str, float]:
    """Return a share with its interval by Wilson's score."""
    if not total:
        return {"value": float("nan"), "low": 0.0, "high": 1.0}
    interval = binomtest(count, total).proportion_ci(LEVEL, method="wilson")
    return {"value": count / total, "low": float(interval.low), "high": float(interval.high)}


def _right(dialogues: Sequence[DialogueResult]) -> dict[str, float]:
    return share(sum(one.right for one in dialogues), len(dialogues))


def _quantile(ordered: np.ndarray, at: float) -> dict[str, float]:
    """Return a quantile with the interval between two order statistics."""
    n = len(ordered)
    places = [int(binom.ppf(edge, n, at)) for edge in ((1 - LEVEL) / 2, (1 + LEVEL) / 2)]
    low, high = (float(ordered[min(place, n - 1)]) for place in places)
    return {"value": float(np.quantile(ordered, at, method="inverted_cdf")), "low": low, "high": high}
