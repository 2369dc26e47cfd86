"""Text files as decoded text: a mark or the bytes themselves say the encoding, then `source.encoding`, then a guess that is told.

A file is read as UTF-8 until a byte says otherwise, so that a good file is decoded once. Encodings that use the bytes of ASCII for other
characters (UTF-16, ISO-2022-JP) cannot be refuted in this way: they are taken from the mark, the zeros or the key.
"""

from __future__ import annotations

import codecs
import io
import re
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from features.errors import DataError
from features.ingest.readers.kinds import open_bytes
from features.text.plain import agree, counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BLOCK = 4 << 20  # bytes decoded at once
SAMPLE = 1 << 16  # bytes of undecodable lines that a guess is based on
MIXED = 0.1  # share of UTF-8 among the characters that are not ASCII, from which a file is mixed and the UTF-8 no coincidence
LATIN = 0.6  # share of characters above ASCII in the words that have any, from which the alphabet is no Latin one
UNSURE = {True: 0.15, False: 0.05}  # share of odd characters, in Latin and other words, from which a question is better than a guess
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OVER_ASCII = re.compile(r"utf.?(7|16|32)|iso.?2022|hz|cp037|cp500|cp1140", re.I)
_LATIN = ("cp1252", "cp1250", "cp1254", "mac_roman", "cp850")
_OTHERS = ("cp1251", "koi8_r", "cp1253", "cp866")
_ASCII = bytes(range(128))


@dataclass(frozen=True)
class Encoding:
    """How a file's bytes become text.

    Attributes
    ----------
    errors : name of the handler of bytes that do not fit.
    notes : what was guessed.
    """

    name: str
    errors: str = "strict"
    notes: tuple[str, ...] = ()


def expected_encoding(path: Path, key: str | None) -> Encoding:
    """Return the encoding that the file's beginning shows: by a mark, by zeros, or UTF-8 until a byte refutes it."""
    with open_bytes(path) as raw:
        head = raw.read(SAMPLE)
    for mark, name in _MARKS:
        if head.startswith(mark):
            return Encoding(name, "replace")
    if key is not None and _OVER_ASCII.match(key):
        return Encoding(key, "replace")
    wide = _by_zeros(head)
    return Encoding(wide, "replace") if wide else Encoding("utf-8")


def found_encoding(path: Path, key: str | None) -> Encoding:
    """Return the encoding of a file that is not UTF-8 throughout: the key, a guess, or line by line two of them.

    Raises
    ------
    DataError
        If the key is not given and no guess is good enough.
    """
    if key is not None and codecs.lookup(key).name == "utf-8":
        return Encoding("utf-8", "replace")
    good, bad, sample = _counted(path)
    name = key or _guess(sample)
    if name is None:
        raise DataError(
            f"{path} is not UTF-8, and its encoding cannot be told from its bytes: set source.encoding, say to cp1251, cp932 or gb18030"
        )
    shown = sample.decode(name, "replace")
    word = re.search(r"\w*[^\W\x00-\x7f]\w*", shown) or re.search(r"\S*[^\x00-\x7f]\S*", shown)
    example = f"e.g. {word[0][:30] if word else ''!r}"
    if good >= MIXED * (good + bad) and _one_byte(name):
        others = f"{counted(bad, 'character')} {agree(bad, 'is', 'are')} not UTF-8 and read as {name} ({example})"
        told = f"note: {path.name} mixes UTF-8 with {name}: {others}"
        return Encoding("utf-8", _fallback(name), (f"{told}: export it in one encoding",))
    if key is not None:
        return Encoding(key, "replace")
    told = f"note: {path.name} is not UTF-8; read as {name} ({example})"
    return Encoding(name, "replace", (f"{told}: if that is wrong, set source.encoding",))


@contextmanager
def open_text(path: Path, encoding: Encoding) -> Iterator[io.TextIOWrapper]:
    """Open a text file, also a packed one. Line ends stay as they are."""
    with open_bytes(path) as raw, io.TextIOWrapper(raw, encoding=encoding.name, errors=encoding.errors, newline="") as text:
        yield text


def _by_zeros(head: bytes) -> str | None:
    """Return the encoding without a mark in which the beginning, mostly ASCII, has these zeros; None without them."""
    size = len(head) // 4
    if not size or b"\0" not in head:
        return None
    zeros = [head[place : 4 * size : 4].count(0) > 0.4 * size for place in range(4)]
    shapes = {(False, True, False, True): "utf-16-le", (True, False, True, False): "utf-16-be"}
    shapes |= {(False, True, True, True): "utf-32-le", (True, True, True, False): "utf-32-be"}
    return shapes.get((zeros[0], zeros[1], zeros[2], zeros[3]))


def _counted(path: Path) -> tuple[int, int, bytes]:
    """Count a file's characters that are UTF-8 and not ASCII, and those that are no UTF-8; return a sample of lines of the latter."""
    good = bad = 0
    sample = bytearray()
    with open_bytes(path) as raw:
        while block := raw.read(BLOCK):
            block += raw.readline(SAMPLE)
            if block.isascii():
                continue
            text = block.decode("utf-8", "replace")
            wrong = text.count("\ufffd")
            bad += wrong
            good += len(text) - len(text.encode("ascii", "ignore")) - wrong
            if wrong and len(sample) < SAMPLE:
                lines = (line for line in re.split(rb"[\r\n]+", block) if not line.isascii() and not _is_utf8(line))
                for line in lines:
                    sample += line[:SAMPLE] + b"\n"
                    if len(sample) >= SAMPLE:
                        break
    return good, bad, bytes(sample)


def _one_byte(name: str) -> bool:
    """Whether each byte is a character; in other encodings, two of them are easily UTF-8 by chance."""
    return len(bytes(range(128, 256)).decode(name, "replace")) == 128


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _guess(sample: bytes) -> str | None:
    """Return the encoding whose characters look most like words; None if none does.

    Detection by letter frequency (charset-normalizer) needs longer texts than a shop's titles: it took `Café crème` for cp1250.
    """
    words = [word for word in re.findall(rb"[A-Za-z\x80-\xff]{2,}", sample) if not word.isascii()]
    high = b"".join(words).translate(None, _ASCII)
    # Letters of Latin languages are mostly ASCII, those of other alphabets are not.
    latin = not words or len(high) < LATIN * sum(map(len, words))
    candidates = _LATIN if latin else _OTHERS
    odd = {name: _odd(sample, name) / max(len(high), 1) for name in candidates}
    best = min(candidates, key=odd.__getitem__)
    return best if odd[best] <= UNSURE[latin] else None


def _odd(sample: bytes, name: str) -> int:
    """Count characters that words of this encoding would not have: a capital within a word, a symbol beside a letter, an unknown byte."""
    text = sample.decode(name, "replace")
    pairs = re.findall(r"([^\W\d_])(?=([^\W\d_]))", text)
    inside = sum(first.islower() and then.isupper() and not (first + then).isascii() for first, then in pairs)
    symbol = r"[^\w\s\x00-\x7f“”‘’«»„‚–—…™®©°€£¥§·•´`\xa0]"
    beside = len(re.findall(rf"(?<=[^\W\d_]){symbol}|{symbol}(?=[^\W\d_])|[²³¹](?=[^\W\d_])|[ªº¼½¾](?=[^\W\d_])", text))
    return inside + beside + text.count("\ufffd") + len(re.findall(r"[\x80-\x9f]", text))


def _fallback(name: str) -> str:
    """Register the handler that decodes what is not UTF-8 by another encoding, and return its name."""
    handler = f"recsys-{name}"
    codecs.register_error(handler, partial(_decoded, name))
    return handler


def _decoded(name: str, error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode(name, "replace"), error.end
