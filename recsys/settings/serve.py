"""How `recsys serve` listens, and what it bears."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ServeConfig(BaseModel):
    """Each worker process has a queue, threads and rate counters of its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", min_length=1, description="where to listen; anything but loopback needs API keys")
    port: int = Field(default=8000, ge=0, le=65_535, description="0 takes a free one")
    workers: int = Field(default=1, ge=1, le=64, description="processes")
    threads: int = Field(default=1, ge=1, le=64, description="threads that retrieve, and as many that rank, a worker")
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="where networks answer; cuda needs onnxruntime-gpu")
    queue: int = Field(default=16, ge=1, description="requests inside a worker at once; more are turned away with 429")
    budget_ms: float = Field(default=400.0, gt=0, description="from a request's arrival until ranking must be done")
    breaker_failures: int = Field(default=5, ge=1, description="rankings that fail one after another, until ranking is left out")
    breaker_seconds: float = Field(default=5.0, gt=0, description="how long it is left out, until it is tried again")
    rate_per_minute: int = Field(default=6_000, ge=0, description="requests an API key, a worker; 0 sets no limit")
    max_body_kib: int = Field(default=256, ge=1, description="of a request")
    max_k: int = Field(default=100, ge=1, description="items of an answer")
    poll_seconds: float = Field(default=0.5, gt=0, description="how often to look for a new bundle")
