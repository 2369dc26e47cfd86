"""Judges the service by its metrics, in plain words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from recsys.service.pages.html import ago, percent

if TYPE_CHECKING:
    from collections.abc import Iterable

    from prometheus_client.samples import Sample

DAY = 86_400
MAX_AGE_DAYS, MAX_DRIFT, MIN_COVERAGE, MAX_UNRANKED, MAX_EMPTY = 2, 0.25, 0.01, 0.01, 0.05
ENOUGH_ANSWERS, ENOUGH_FOR_COVERAGE = 100, 10_000


@dataclass(frozen=True)
class HealthCheck:
    """One figure. `fine`: None where it cannot be told yet. `page`: where more is said about it, or ""."""

    name: str
    now: str
    expected: str
    fine: bool | None
    page: str = ""


def health(samples: Iterable[Sample], *, bundle: bool) -> list[HealthCheck]:
    """Judge metrics as `recsys.service.metrics.samples` returns them; `bundle`: whether one is in use."""
    values = _Values.of(samples)
    return [*(_of_bundle(values) if bundle else ()), *_of_answers(values)]


@dataclass(frozen=True)
class _Values:
    """Sums of metrics over the labels, and of some by label."""

    sums: dict[str, float]
    by_label: dict[tuple[str, str], float]

    @classmethod
    def of(cls, samples: Iterable[Sample]) -> _Values:
        sums: dict[str, float] = {}
        by_label: dict[tuple[str, str], float] = {}
        for sample in samples:
            sums[sample.name] = sums.get(sample.name, 0.0) + sample.value
            for label in sample.labels.values():
                by_label[sample.name, label] = by_label.get((sample.name, label), 0.0) + sample.value
        return cls(sums, by_label)

    def __call__(self, name: str, label: str | None = None) -> float:
        return self.sums.get(name, 0.0) if label is None else self.by_label.get((name, label), 0.0)

    @property
    def answers(self) -> float:
        """Lists, searches and pages that were answered."""
        return self("recsys_stage_seconds_count", "retrieval")


def _of_bundle(values: _Values) -> list[HealthCheck]:
    age, drift, coverage = (values(f"recsys_{name}") for name in ("bundle_age_seconds", "score_drift", "list_coverage"))
    enough = values.answers >= ENOUGH_FOR_COVERAGE or coverage >= MIN_COVERAGE
    return [
        HealthCheck(
            "Age of the bundle",
            f"published {ago(age)}",
            f"at most {MAX_AGE_DAYS} days ago, where the refresh runs daily",
            age <= MAX_AGE_DAYS * DAY,
        ),
        HealthCheck(
            "Drift of the probabilities",
            f"{drift:.3f}" if drift else "too few lists yet",
            f"a population stability index of at most {MAX_DRIFT:g}",
            drift <= MAX_DRIFT if drift else None,
        ),
        HealthCheck(
            "Catalogue that lists have shown",
            percent(coverage),
            f"at least {percent(MIN_COVERAGE)} after {ENOUGH_FOR_COVERAGE:,} answers",
            coverage >= MIN_COVERAGE if enough else None,
        ),
    ]


def _of_answers(values: _Values) -> list[HealthCheck]:
    unranked, lost, empty = (
        values("recsys_degraded_total"),
        values("recsys_lost_pages_total"),
        values("recsys_search_findings_total", "zero_results"),
    )
    return [
        _share("Answers without ranking", unranked, values.answers, MAX_UNRANKED),
        HealthCheck("Pages that were not stored", f"{lost:,.0f}", "none: experiments and shares of rules miss them", lost == 0),
        _share("Searches without results", empty, values("recsys_searches_total"), MAX_EMPTY, "/searches"),
    ]


def _share(name: str, count: float, of: float, most: float, link: str = "") -> HealthCheck:
    now = f"{count:,.0f} of {of:,.0f}" + (f", {percent(count / of)}" if of else "")
    expected = f"at most {percent(most)}, from {ENOUGH_ANSWERS:,} on"
    return HealthCheck(name, now, expected, count <= most * of if of >= ENOUGH_ANSWERS else None, link)
