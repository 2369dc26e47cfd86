"""Signs people in to the pages with OpenID Connect: the authorisation code flow with PKCE. The extra `[oidc]` brings what checks tokens.

The provider decides who may sign in. What it says of a person is neither stored nor logged: a session holds a hash of the subject.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from features.errors import RecsysError

if TYPE_CHECKING:
    from joserfc.jwk import KeySet

    from recsys.settings.serve import ServeConfig

SECRET = "OIDC_CLIENT_SECRET"
SECONDS = 10.0  # for the provider to answer
MOST_BYTES = 1_000_000
_ALGORITHMS = ["RS256", "PS256", "ES256", "ES384", "EdDSA"]  # no shared secrets, and never "none"
_LEEWAY = 60  # seconds that two clocks may differ


class SignInError(RecsysError):
    """Somebody could not be signed in."""


@dataclass(frozen=True)
class Begun:
    """A sign-in that has begun. It travels in a signed cookie, so any worker can end it."""

    state: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))


@dataclass(frozen=True)
class Person:
    """Who has signed in: a hash of the provider's subject, and whether they may change what customers are told."""

    name: str
    edits: bool


@dataclass(frozen=True)
class Provider:
    """An OpenID provider. It is asked when somebody signs in.

    Raises
    ------
    SignInError
        From any method, if the provider does not answer, or its answer is not what it must be.
    """

    issuer: str
    client_id: str
    editors: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: ServeConfig) -> Provider | None:
        """Return the provider of the settings; None without one."""
        return cls(config.oidc_issuer, config.oidc_client_id, config.oidc_editors) if config.oidc_issuer else None

    @cached_property
    def about(self) -> dict[str, Any]:
        """The provider's own description."""
        found = _fetched(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        missing = [name for name in ("authorization_endpoint", "token_endpoint", "jwks_uri") if not isinstance(found.get(name), str)]
        if missing or found.get("issuer") != self.issuer:
            raise SignInError(f"{self.issuer} describes itself as {found.get('issuer')!r}: correct serve.oidc_issuer")
        return found

    def address(self, begun: Begun, back: str) -> str:
        """Return where the browser goes; `back` is where it comes back to."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(begun.verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "scope": "openid email",
            "client_id": self.client_id,
            "redirect_uri": back,
            "state": begun.state,
            "nonce": begun.nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        endpoint = self.about["authorization_endpoint"]
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{urllib.parse.urlencode(query)}"

    def person(self, begun: Begun, code: str, back: str) -> Person:
        """Return who has signed in, for the code with which the browser came back."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": back,
            "client_id": self.client_id,
            "code_verifier": begun.verifier,
        }
        if secret := os.environ.get(SECRET):
            form["client_secret"] = secret
        token = _fetched(self.about["token_endpoint"], urllib.parse.urlencode(form).encode()).get("id_token")
        claims = self._claims(str(token), begun.nonce)
        name = hashlib.sha256(f"{self.issuer} {claims['sub']}".encode()).hexdigest()[:16]
        known = claims.get("email_verified") is True
        return Person(f"oidc-{name}", known and str(claims.get("email", "")).casefold() in {one.casefold() for one in self.editors})

    def _claims(self, token: str, nonce: str) -> dict[str, Any]:
        """Check a token's signature and claims, and return these."""
        from joserfc import jwt
        from joserfc.errors import JoseError

        required: Any = {"essential": True}
        rules = jwt.JWTClaimsRegistry(
            leeway=_LEEWAY,
            iss=required | {"value": self.issuer},
            aud=required | {"value": self.client_id},
            nonce=required | {"value": nonce},
            exp=required,
            sub=required,
        )
        try:
            claims = jwt.decode(token, self._keys(), algorithms=_ALGORITHMS).claims
            rules.validate(claims)
        except (JoseError, ValueError) as error:
            raise SignInError(f"the token of {self.issuer} is refused ({type(error).__name__}): sign in again") from error
        return claims

    def _keys(self) -> KeySet:
        from joserfc.jwk import KeySet

        return KeySet.import_key_set(_fetched(self.about["jwks_uri"]))  # pyright: ignore[reportArgumentType]


def _fetched(address: str, form: bytes | None = None) -> dict[str, Any]:
    request = urllib.request.Request(address, form, {"Accept": "application/json"})
    host = urllib.parse.urlsplit(address).hostname
    try:
        with urllib.request.urlopen(request, timeout=SECONDS) as answer:
            found = json.loads(answer.read(MOST_BYTES))
    except (OSError, ValueError) as error:
        reason = f"status {error.code}" if isinstance(error, urllib.error.HTTPError) else type(error).__name__
        raise SignInError(f"{host} does not answer as an OpenID provider must ({reason}): try again") from error
    if not isinstance(found, dict):
        raise SignInError(f"{host} answers with no JSON object: check serve.oidc_issuer")
    return found
