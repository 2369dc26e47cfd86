"""What a refresh must hold to, and whom it tells."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, HttpUrl


class RefreshConfig(BaseModel):
    """Gates compare with the bundle in use; what does not pass is not published."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_items_lost: float = Field(default=0.2, ge=0, le=1, description="share of the items that may be gone")
    max_events_lost: float = Field(default=0.2, ge=0, le=1, description="share of the log's events that may be gone")
    max_changed_vectors: float = Field(default=0.5, ge=0, le=1, description="share of items whose text may be another, by one model")
    min_ann_recall: float = Field(default=0.95, ge=0, le=1, description="recall@10 of the index against exact search")
    max_ndcg_drop: float = Field(default=0.1, ge=0, le=1, description="share of the NDCG@10 on the last days that may be lost")
    judged_days: int = Field(default=7, ge=1, description="how many last days of the old log it is judged on")
    judged_users: int = Field(default=200, ge=0, description="on how many users; 0 leaves NDCG out")
    max_psi: float = Field(default=0.25, gt=0, description="population stability index of a feature, above which drift is told")
    webhook: HttpUrl | None = Field(default=None, description="where refusals, failures and drift are posted as JSON")
    webhook_seconds: float = Field(default=5.0, gt=0, description="how long it may take")
