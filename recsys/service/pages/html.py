"""Renders templates. Text of the shop or a visitor is escaped, and loses characters that reverse a line's direction."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from fastapi import HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined

from features.data.prices import price_text
from features.errors import BundleError, DataError
from features.text.plain import plain, visible
from recsys.service.logs import LOGGER
from recsys.service.problems import UNEXPECTED

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Mapping

    from fastapi import Request, Response

# No scripts and nothing from other hosts, whatever a title holds.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
# The search page and the chat have one script of ours each, which fetches from here alone. No title can bring another.
SCRIPT_HEADERS = HEADERS | {"Content-Security-Policy": f"script-src 'self'; connect-src 'self'; {HEADERS['Content-Security-Policy']}"}
# A report's page holds its own styles; it may run no scripts either.
REPORT_HEADERS = HEADERS | {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'; sandbox"
}


def ago(seconds: float) -> str:
    """Return a duration in words."""
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        count = round(seconds / length)
        if count >= 1:
            return f"{count:,} {unit}{'s' * (count > 1)} ago"
    return "just now"


def since(moment: datetime) -> str:
    """Return in words how long ago a moment was."""
    return ago((datetime.now(UTC) - moment).total_seconds())


def figure(value: Mapping[str, Any] | None) -> str:
    """Return a value with its interval; a dash where there is no value."""
    if not value or value.get("value") is None:
        return "–"
    if value.get("low") is None:
        return f"{value['value']:.4f}"
    return f"{value['value']:.4f} [{value['low']:.4f}–{value['high']:.4f}]"


def percent(share: float) -> str:
    """Return a share in percent with one digit; a smaller one that is not 0 as "under 0.1%"."""
    return "under 0.1%" if 0 < share < 0.0005 else f"{100 * share:.1f}%"


_TEMPLATES = Environment(
    loader=PackageLoader("recsys.service.pages", "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {
    "plain": plain,
    "visible": visible,
    "ago": ago,
    "since": since,
    "figure": figure,
    "percent": percent,
    "thousands": lambda count: f"{count:,.0f}",
    "price": price_text,
    "path": lambda name: quote(name, safe=""),
}


def page(request: Request, template: str, /, status: int = 200, **values: Any) -> HTMLResponse:
    """Render a template."""
    access = request.app.state.access
    common = {"here": request.url.path, "free": access.free, "provider": access.provider}
    headers = SCRIPT_HEADERS if template in ("search", "assistant") else HEADERS
    return HTMLResponse(_TEMPLATES.get_template(f"{template}.html.j2").render(common | values), status, headers)


class PageRoute(APIRoute):
    """A route that shows errors on a page and redirects requests without a session to the login."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler, wrapped; see FastAPI."""
        handle = super().get_route_handler()

        async def handle_errors(request: Request) -> Response:
            try:
                return await handle(request)
            except HTTPException as error:
                if error.status_code == 401 and request.url.path != "/login":
                    return RedirectResponse("/login", 303)
                template = "login" if request.url.path == "/login" else "error"
                answer = page(request, template, error.status_code, detail=error.detail)
                answer.headers.update(error.headers or {})
                return answer
            except (DataError, BundleError) as error:
                return page(request, "error", 404 if request.method == "GET" else 422, detail=str(error))
            except Exception:
                LOGGER.exception("unexpected error")
                return page(request, "error", 500, detail=UNEXPECTED)

        return handle_errors
