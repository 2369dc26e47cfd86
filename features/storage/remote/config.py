"""Settings of the store that several machines share."""

from __future__ import annotations

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

FOLDER = "file"  # scheme of a folder, also where the URL has none
S3 = "s3"


class StorageConfig(BaseModel):
    """Where tables, models and bundles are shared. Credentials come from where the driver looks for them, never from here."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str | None = Field(default=None, min_length=1, description='the store, as in "s3://bucket/shop", or a folder that machines share')
    endpoint: str | None = Field(default=None, description='address of a server that speaks S3, as in "http://minio:9000"; default: AWS')
    region: str | None = Field(default=None, min_length=1, description="region of the bucket; default: that of the environment")
    timeout_seconds: float = Field(default=10.0, gt=0, description="longest wait for the server to connect, or to go on sending")
    poll_seconds: float = Field(default=10.0, gt=0, description="how often a service looks whether the store has a new version")

    pull: tuple[Literal["data", "models", "bundles"], ...] = Field(
        default=("data", "models", "bundles"), description='what a machine fetches; ["bundles"] suffices to answer'
    )

    @property
    def scheme(self) -> str:
        """The scheme of `url`; "file" for a folder."""
        scheme, found, _ = (self.url or "").partition("://")
        return scheme.lower() if found else FOLDER

    @property
    def place(self) -> str:
        """What follows the scheme: a path, or a bucket and a prefix; without a slash at its end."""
        return (self.url or "").removeprefix(f"{self.scheme}://").rstrip("/") or "/"

    @property
    def address(self) -> str:
        """The store in one spelling, for messages and to tell it from another."""
        return self.place if self.scheme == FOLDER else f"{self.scheme}://{self.place}"

    @field_validator("url", "endpoint")
    @classmethod
    def _without_credentials(cls, address: str | None) -> str | None:
        if address is not None and ("@" in urlsplit(address).netloc or "?" in address):
            raise ValueError("holds a user, a password or a query: leave them out, and give credentials in the environment")
        return address

    @model_validator(mode="after")
    def _with_address(self) -> Self:
        if self.endpoint is not None and urlsplit(self.endpoint).scheme not in ("http", "https"):
            raise ValueError(f"endpoint is {self.endpoint!r}, expected an address that begins with http:// or https://")
        if self.endpoint is not None and self.scheme != S3:
            raise ValueError('endpoint needs a url that begins with "s3://"')
        if self.scheme == S3 and self.place.startswith("/"):
            raise ValueError(f'url is {self.url!r}, expected a bucket, as in "s3://bucket/shop"')
        return self
