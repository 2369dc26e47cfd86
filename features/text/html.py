"""Removal of markup from a text of a shop: HTML, HTML entities, WordPress shortcodes, template directives.

A `<` is markup only as part of a known tag, and an `&` only as part of a whole entity, so that "3 < 5", "size <L>" and "R&D" stay as they
are.
"""

from __future__ import annotations

import html
import html.entities
import re

import nh3

# Elements of HTML, obsolete ones included. Those that separate words become a space.
_BLOCK_NAMES = (
    "address article aside blockquote body br button caption center dd details dialog dir div dl dt fieldset figcaption figure footer form "
    "h1 h2 h3 h4 h5 h6 head header hgroup hr html img input legend li main menu nav ol optgroup option p picture pre section select source "
    "summary table tbody td textarea tfoot th thead title tr ul video"
)
_INLINE_NAMES = (
    "a abbr acronym area audio b base bdi bdo big canvas cite code col colgroup data del dfn em embed font i iframe ins kbd label link map "
    "mark marquee meta nobr noscript object param path q s samp script small span strike strong style sub sup svg template time tt u var "
    "wbr"
)
_BLOCK, _INLINE = frozenset(_BLOCK_NAMES.split()), frozenset(_INLINE_NAMES.split())
_ALONE = frozenset(("br", "hr", "li", "p", "script", "style", "td", "th", "tr", "wbr"))  # written without an end tag, or never shown
# Removes all tags, and these with all that is in them.
_PARSER = nh3.Cleaner(tags=set(), clean_content_tags={"iframe", "noscript", "object", "script", "style", "svg", "template", "title"})
_TAG = re.compile(r"<(?:(/?)([a-zA-Z][a-zA-Z0-9:._-]*)(?=[\s/>]|$)|!--|!\[|![dD][oO][cC]|\?xml\b)")
_ATTRIBUTE = re.compile(r"\s[^<>=]*=")
_CDATA = re.compile(r"<!\[CDATA\[|\]\]>")
_SIZE = re.compile(r"<[A-Z]>")  # a size or a grade, unless something ends it
_ENTITY_NAME = r"(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
_ENTITY, _AMPERSAND = re.compile(f"&{_ENTITY_NAME}"), re.compile(f"&({_ENTITY_NAME})?")
_DIRECTIVE = re.compile(r"\{\{[^{}]+\}\}|\{%[^{}]+%\}")  # of Magento and of Liquid
_ENCODED = re.compile(r"\[(vc_raw_html|vc_raw_js)\b[^\]]*\].*?(?:\[/\1\]|$)", re.DOTALL)  # its content is base64
_SHORTCODE = re.compile(
    r"\[/?(?:(?:vc|et_pb|fusion|av|mk|su|wpb|elementor|woocommerce|product|sc)[_-][\w-]+|add_to_cart|audio|caption|contact-form-7|embed|gallery"
    r"|playlist|products|video)(?:\s[^\[\]]*)?/?\]|\[[a-z][\w-]*(?:\s+[\w-]+=(?:\"[^\"\]]*\"|'[^'\]]*'))+\s*/?\]"
)
_LESS, _AND = "\ufdd0", "\ufdd1"  # no text holds them: Unicode keeps them for use within a program
_LEVELS = 3  # of escaping: exports of exports escape twice
_MOST_TAGS = 4_000  # the parser's time grows with the square of nested tags, and the encoder reads 400 characters


def without_markup(text: str) -> str:
    """Return a text without tags, comments, scripts, shortcodes and directives, and with its entities decoded.

    Escaped markup (`&lt;p&gt;`) is removed too. Tags that separate words leave a space.
    """
    text = _SHORTCODE.sub(" ", _ENCODED.sub(" ", _DIRECTIVE.sub(" ", text)))
    for _ in range(_LEVELS):
        before = text
        text = _without_tags(text) if _is_html(text) else _ENTITY.sub(_decoded, text)
        if text == before:
            break
    return text


def _decoded(entity: re.Match[str]) -> str:
    # html.unescape takes the &reg of "&region;" for an entity.
    return html.unescape(entity.group()) if _is_entity(entity.group()) else entity.group()


def _is_entity(text: str) -> bool:
    return text[1] == "#" or text[1:] in html.entities.html5


def _is_html(text: str) -> bool:
    """Tell HTML from a text that speaks of a <div>: it has an end tag, an attribute, an element that stands alone, or begins with a tag."""
    for found in _TAG.finditer(text):
        end, name = found.groups()
        if name is None:
            return True
        if not _is_element(name):
            continue
        if end or name.lower() in _ALONE or _ATTRIBUTE.match(text, found.end()):
            return True
        if len(name) > 1 and not text[: found.start()].strip():
            return True
    return False


def _is_element(name: str) -> bool:
    # A colon as in Office's o:p, a hyphen as in custom elements.
    return (lowered := name.lower()) in _BLOCK or lowered in _INLINE or ":" in name or "-" in name


def _without_tags(text: str) -> str:
    text = _CDATA.sub(" ", text)
    lowered = text.lower()
    lone = {found for found in _SIZE.findall(text) if f"</{found[1:]}".lower() not in lowered}
    parts = []
    begin = tags = 0
    for found in _TAG.finditer(text):
        name = found[2]
        if (name and not _is_element(name)) or text[found.start() : found.start() + 3] in lone:
            continue
        parts.append(_guarded(text[begin : found.start()]))
        if name and name.lower() in _BLOCK:
            parts.append(" ")
        begin = found.start()
        tags += 1
        if tags > _MOST_TAGS:
            break
    else:
        parts.append(_guarded(text[begin:]))
    return html.unescape(_PARSER.clean("".join(parts))).replace(_LESS, "<").replace(_AND, "&")


def _guarded(part: str) -> str:
    """Hide from the parser what is no markup in a part of which only the first character may begin a tag."""
    if "<" not in part[1:] and "&" not in part:
        return part
    part = part[:1] + part[1:].replace("<", _LESS)
    return _AMPERSAND.sub(lambda found: found.group() if found[1] and _is_entity(found.group()) else _AND + found.group()[1:], part)
