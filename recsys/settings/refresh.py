"""Settings of a refresh: quality gates, drift and the webhook."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, field_validator

from features.ingest.profile.changes import KEYS
from features.text.closest import did_you_mean

ALL = "all"  # in `accept_changes`: whatever is gone


class RefreshConfig(BaseModel):
    """Limits of a refresh. Gates compare a new bundle with the one in use; one that fails is not published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_items_lost: float = Field(default=0.2, ge=0, le=1, description="share of the items that may be missing")
    max_events_lost: float = Field(default=0.2, ge=0, le=1, description="share of the log's events that may be missing")
    max_changed_vectors: float = Field(default=0.5, ge=0, le=1, description="share of items whose text may change under one model")
    min_ann_recall: float = Field(default=0.95, ge=0, le=1, description="recall@10 of the index against exact search")
    max_ndcg_drop: float = Field(default=0.1, ge=0, le=1, description="share by which NDCG@10 on the last days may drop")
    judged_days: int = Field(default=7, ge=1, description="how many last days of the old log NDCG is measured on")
    judged_users: int = Field(default=200, ge=0, description="how many users NDCG is measured on at most; 0 skips it")
    max_psi: float = Field(default=0.25, gt=0, description="population stability index of a feature above which drift is reported")
    refit_share: float = Field(
        default=0.02,
        ge=0,
        le=1,
        description="share of the events that may change before models are fitted again; 0 fits them after any change",
    )
    refit_items_share: float = Field(
        default=0.05, ge=0, le=1, description="share of the items whose text may change before what is fitted on texts is fitted again"
    )
    verify_hours: float = Field(default=24.0, ge=0, description="hours after which a refresh reads the bundle in use again to check it")
    accept_changes: tuple[str, ...] = Field(
        default=(), description='what the sources may lose since the last read, as in ["items.available"]; ["all"] accepts everything'
    )
    webhook: HttpUrl | None = Field(default=None, description="address to which refusals, failures and drift are posted as JSON")
    webhook_seconds: float = Field(default=5.0, gt=0, description="timeout of a post to the webhook")

    @field_validator("accept_changes")
    @classmethod
    def _known(cls, keys: tuple[str, ...]) -> tuple[str, ...]:
        for key in keys:
            if key not in (*KEYS, ALL):
                hint = did_you_mean(key, KEYS)
                raise ValueError(f"unknown column {key!r}{hint}; expected a table and our name of a column, as items.available, or all")
        return keys


class BundleConfig(BaseModel):
    """Settings of published bundles."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keep: int = Field(default=3, ge=1, description="how many bundles to keep: the one in use and the ones before it")
