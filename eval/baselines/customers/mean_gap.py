"""The next purchase by the customer's own mean gap: the last purchase and one gap, with what to say of the overdue chosen on the past."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

RULES = ("now", "another_gap")  # who is overdue is expected at once, or a gap from now


@dataclass(frozen=True)
class MeanGap:
    """The rule for the overdue, and the gap of those who have bought once: the mean of the others'."""

    rule: str
    gap: float

    @classmethod
    def tuned(cls, gap: np.ndarray, recency: np.ndarray, wait: np.ndarray) -> MeanGap:
        """Choose the rule by the median error over past customers who came back.

        Parameters
        ----------
        gap : mean gap in days, float (n,); nan with one purchase day.
        recency : days since the last purchase, float (n,).
        wait : days until the next one, float (n,); inf where there was none.
        """
        known = np.isfinite(gap)
        mean = float(gap[known].mean()) if known.any() else float(np.mean(recency)) if len(recency) else 0.0
        back = np.isfinite(wait)
        if not back.any():
            return cls(RULES[0], mean)
        errors = {rule: np.median(np.abs(cls(rule, mean).days(gap, recency) - wait)[back]) for rule in RULES}
        return cls(min(RULES, key=lambda rule: errors[rule]), mean)

    def days(self, gap: np.ndarray, recency: np.ndarray) -> np.ndarray:
        """Return the days until the next purchase, float64 (n,)."""
        gaps = np.where(np.isfinite(gap), gap, self.gap).astype(np.float64)
        overdue = 0.0 if self.rule == RULES[0] else gaps
        return np.where(gaps >= recency, gaps - recency, overdue)
