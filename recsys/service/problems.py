"""Turns errors into RFC 9457 problems: one line with what was found, what was expected and what to do next."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from features.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fastapi import FastAPI, Request

SHOWN = 60  # characters of a wrong value
UNEXPECTED = "unexpected error: this is a bug of the service; its log has the details"


def problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return an RFC 9457 response."""
    body = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": " ".join(detail.split())}
    return JSONResponse(body, status, headers, media_type="application/problem+json")


def add_problem_handlers(app: FastAPI) -> None:
    """Register handlers that turn exceptions of the routes into problems."""

    @app.exception_handler(RequestValidationError)
    async def invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        return problem(422, sentence(error.errors()))

    @app.exception_handler(HTTPException)
    async def refused(_request: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(DataError)
    async def unknown(_request: Request, error: DataError) -> JSONResponse:
        return problem(422, str(error))

    @app.exception_handler(Exception)
    async def unexpected(_request: Request, _error: Exception) -> JSONResponse:
        return problem(500, UNEXPECTED)


def sentence(problems: Sequence[Mapping[str, Any]]) -> str:
    """Return one line about the first of pydantic's errors, and how many more there are."""
    first = problems[0]
    key = ".".join(str(part) for part in first["loc"][1:])
    message = re.sub(r"^(Value error, |Input |String |List )", "", first["msg"])
    if first["type"] == "json_invalid":
        text = f"the body is not valid JSON ({first.get('ctx', {}).get('error', message)}, at character {key or '0'})"
    elif first["type"] == "missing":
        text = f"{key or 'a JSON body'} is missing"
    elif first["type"] == "extra_forbidden":
        text = f"unknown key {key!r}: see /openapi.json"
    elif first["type"] == "model_attributes_type":
        text = f"{key or 'the body'} is not a JSON object: send one, with content-type: application/json"
    else:
        text = f"{key} is {_shown(first.get('input'))}, {message}"
    return f"{text} (and {len(problems) - 1} more)" if len(problems) > 1 else text


def _shown(value: Any) -> str:
    if isinstance(value, list | dict):
        return f"a {'list' if isinstance(value, list) else 'JSON object'} of {len(value)}"
    text = ascii(value)  # a lone surrogate cannot be sent back
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
