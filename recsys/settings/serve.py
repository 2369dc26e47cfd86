"""Settings of `recsys serve`: address, processes and limits."""

from __future__ import annotations

import re
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?")
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ServeConfig(BaseModel):
    """Settings of the service. Queue, threads and rate counters are per worker process."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", min_length=1, description="address to listen on; anything but loopback needs API keys")
    port: int = Field(default=8000, ge=0, le=65_535, description="port to listen on; 0 takes a free one")
    workers: int = Field(default=1, ge=1, le=64, description="worker processes")
    threads: int = Field(default=1, ge=1, le=64, description="threads of a worker that retrieve, and as many that rank")
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="device on which the networks run; cuda needs onnxruntime-gpu")
    queue: int = Field(default=16, ge=1, description="requests inside a worker at once; further ones get status 429")
    budget_ms: float = Field(default=400.0, gt=0, description="milliseconds from a request's arrival until its ranking must be done")
    breaker_failures: int = Field(default=5, ge=1, description="consecutive failures of ranking after which it is skipped")
    breaker_seconds: float = Field(default=5.0, gt=0, description="how long ranking is skipped before it is tried again")
    rate_per_minute: int = Field(default=6_000, ge=0, description="requests per API key and worker; 0 sets no limit")
    max_body_kib: int = Field(default=256, ge=1, description="largest body of a request")
    max_k: int = Field(default=100, ge=1, description="most items in an answer")
    log_queries: bool = Field(default=False, description="whether the log holds the words of searches, which may name people")
    oidc_issuer: str | None = Field(default=None, description="address of the OpenID provider that signs people in to the pages")
    oidc_client_id: str = Field(default="", description="what the provider calls this service; its secret is in OIDC_CLIENT_SECRET")
    oidc_editors: tuple[str, ...] = Field(default=(), description="e-mail addresses of those who may also change what customers are told")
    traces: bool = Field(default=False, description="whether to send traces; also on where OTEL_EXPORTER_OTLP_ENDPOINT is set")
    poll_seconds: float = Field(default=0.5, gt=0, description="how often to look for a new bundle")
    origins: tuple[str, ...] = Field(
        default=(), description='the shop\'s pages that may ask from a browser, as in ["https://shop.example"]; empty: none'
    )

    @model_validator(mode="after")
    def _whole_provider(self) -> Self:
        if self.oidc_issuer is None:
            return self
        parts = urlsplit(self.oidc_issuer)
        if not parts.hostname or (parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK)):
            raise ValueError(f"oidc_issuer is {self.oidc_issuer!r}, expected an address that begins with https://")
        if not self.oidc_client_id:
            raise ValueError("oidc_issuer needs oidc_client_id: the provider gives it with the registration")
        return self

    @field_validator("origins")
    @classmethod
    def _are_origins(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        for origin in origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(f"origins has {origin!r}, expected scheme, host and port alone, such as https://shop.example")
        return origins
