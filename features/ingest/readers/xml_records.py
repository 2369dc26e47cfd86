"""The reader of XML feeds: RSS and Atom, as Google Merchant takes them. Each item or entry is a record of its elements' names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import iterparse

from features.errors import DataError
from features.ingest.readers.kinds import open_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from xml.etree.ElementTree import Element

    from features.ingest.readers.json_records import Numbered

RECORDS = ("item", "entry", "product", "offer")  # the first of these that occurs names the records
_GOOGLE = "{http://base.google.com/ns/1.0}"


def xml_records(path: Path) -> Iterator[Numbered]:
    """Yield the records of a feed, with the local names of their elements, as texts, lists of repeated ones, and mappings.

    An element of Google's namespace wins over one of the same name without it. Entities and external files are refused.

    Raises
    ------
    DataError
        If the file is damaged, or has neither items nor entries.
    """
    wanted: str | None = None
    number = 0
    open_elements: list[Element] = []
    try:
        with open_bytes(path) as raw:
            for event, element in iterparse(raw, events=("start", "end"), forbid_entities=True, forbid_external=True):
                name = _local(element.tag)
                if event == "start":
                    open_elements.append(element)
                    wanted = wanted or (name if name in RECORDS else None)
                    continue
                open_elements.pop()
                within = any(_local(one.tag) == wanted for one in open_elements)
                if name == wanted and not within:
                    number += 1
                    yield number, _record(element), ""
                if not within and open_elements:
                    open_elements[-1].remove(element)
    except DefusedXmlException as error:
        raise DataError(f"{path} declares entities ({type(error).__name__}), which are not expanded: export it without them") from error
    except ParseError as error:
        raise DataError(f"{path} is damaged XML ({error}) after {number:,} records: fetch or export it again") from error
    if not number:
        raise DataError(f"{path} is XML without {' or '.join(f'<{name}>' for name in RECORDS)}: export a feed of RSS or Atom, or csv")


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


def _record(element: Element) -> dict[str, Any]:
    record: dict[str, Any] = {_local(name): value for name, value in element.attrib.items()}
    google: set[str] = set()
    for child in element:
        name, value = _local(child.tag), _content(child)
        ours = child.tag.startswith(_GOOGLE)
        if value is None or (name in google and not ours):
            continue
        if ours and name not in google:
            google.add(name)
            record[name] = value
        elif name not in record:
            record[name] = value
        elif isinstance(record[name], list):
            record[name].append(value)
        else:
            record[name] = [record[name], value]
    return record


def _content(element: Element) -> str | dict[str, Any] | None:
    if len(element):
        nested = _record(element)
        if _local(element.tag) in ("description", "summary", "content", "title"):  # XHTML inside
            return " ".join("".join(element.itertext()).split()) or None
        return nested or None
    return (element.text or "").strip() or element.get("href") or None
