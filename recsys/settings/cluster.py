"""Settings of work that is spread over a Ray cluster."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ClusterConfig(BaseModel):
    """How `--cluster` spreads work. Results do not depend on it, save for towers with dropout that several workers train."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workers: int = Field(default=0, ge=0, le=1024, description="workers that `--cluster local` starts; 0: one for each usable core")
    cores: int = Field(default=1, ge=1, description="cores of a worker")
    gpus: float = Field(default=0.0, ge=0, description="GPUs of a worker, such as 1, or 0.5 for two workers on each")
    towers: bool = Field(default=True, description="whether the cluster trains the towers; otherwise the command does")
    retries: int = Field(default=20, ge=0, description="how often a shard is tried again after its worker has died")
    memory_mb: int = Field(default=256, ge=80, description="MiB of shared memory for Ray's objects with `--cluster local`")
    connect_seconds: float = Field(default=5.0, gt=0, le=3600, description="how long a cluster may take to answer at its address")
    answer_seconds: float = Field(default=60.0, gt=0, le=86400, description="how long an index may take for an answer, restarts included")
