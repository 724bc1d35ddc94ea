"""Text on a printed page: which font has a sign, how wide a line is, and where it breaks.

Fonts are asked in their order, sign by sign: the first that has a glyph draws it. A sign that no
font has is written as its Unicode number, "[U+C6B0]", so that nothing is lost where a machine
has no Korean font. Widths are in points (1/72 inch), without kerning. Does not shape: scripts
that join or reorder their letters are shown letter by letter.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

# Families with Hangul, as the usual systems name them; the first that is installed is used.
KOREAN_FAMILIES = (
    "Noto Sans CJK KR",
    "Noto Sans KR",
    "Noto Sans CJK JP",
    "Source Han Sans KR",
    "NanumGothic",
    "NanumBarunGothic",
    "Malgun Gothic",
    "Apple SD Gothic Neo",
    "AppleGothic",
    "UnDotum",
    "Baekmuk Dotum",
)

_EM_PX = 100  # the size at which widths are read; 72 dots an inch make a pixel a point
_PIECES = re.compile(r"\S+\s*|\s+")


@dataclass(frozen=True)
class Run:
    """Signs beside each other that one font draws."""

    text: str
    font: Path


@dataclass(frozen=True)
class Typeface:
    """Fonts in the order in which they are asked; the first has every ASCII sign."""

    fonts: tuple[Path, ...]

    def runs(self, text: str) -> tuple[Run, ...]:
        """Return `text` cut where the font changes; every sign must be drawable."""
        found: list[Run] = []
        for sign in text:
            font = self._font_of(sign)
            assert font is not None, "text goes through `drawable` first"
            if found and found[-1].font == font:
                found[-1] = Run(found[-1].text + sign, font)
            else:
                found.append(Run(sign, font))
        return tuple(found)

    def drawable(self, text: str) -> str:
        """Return `text` on one line, with signs that no font has written as Unicode numbers."""
        spaced = " ".join(text.split())
        parts: list[str] = []
        missing: list[str] = []
        for sign in spaced:
            if self._font_of(sign) is None:
                missing.append(f"U+{ord(sign):04X}")
                continue
            parts += _numbers(missing)
            missing = []
            parts.append(sign)
        return "".join([*parts, *_numbers(missing)])

    def width_pt(self, text: str, size_pt: float) -> float:
        """Return how wide a drawable text is."""
        return sum(self._advance_em(sign) for sign in text) * size_pt

    def wrap(self, text: str, *, size_pt: float, width_pt: float) -> list[str]:
        """Return `text` in lines of at most `width_pt`; a word that is too long is cut."""
        lines, line, used = [], "", 0.0
        for piece in _PIECES.findall(self.drawable(text)):
            for part in self._cut(piece, size_pt, width_pt):
                wide = self.width_pt(part.rstrip(), size_pt)
                if line and used + wide > width_pt:
                    lines.append(line.rstrip())
                    line, used = "", 0.0
                line += part
                used += self.width_pt(part, size_pt)
        return [*lines, line.rstrip()] if line else lines or [""]

    def _cut(self, piece: str, size_pt: float, width_pt: float) -> list[str]:
        if self.width_pt(piece.rstrip(), size_pt) <= width_pt:
            return [piece]
        parts, part, used = [], "", 0.0
        for sign in piece:
            wide = self._advance_em(sign) * size_pt
            if part and used + wide > width_pt:
                parts.append(part)
                part, used = "", 0.0
            part += sign
            used += wide
        return [*parts, part]

    def _font_of(self, sign: str) -> Path | None:
        code = ord(sign)
        return next((font for font, glyphs in self._glyphs.items() if code in glyphs), None)

    def _advance_em(self, sign: str) -> float:
        known = self._advances.get(sign)
        if known is None:
            font = self._font_of(sign)
            assert font is not None, "text goes through `drawable` first"
            glyph = self._faces[font].load_char(ord(sign))
            known = self._advances[sign] = glyph.linearHoriAdvance / 65536 / _EM_PX
        return known

    @cached_property
    def _advances(self) -> dict[str, float]:
        return {}

    @cached_property
    def _faces(self) -> dict[Path, Any]:
        from matplotlib.ft2font import FT2Font

        faces = {font: FT2Font(str(font)) for font in self.fonts}
        for face in faces.values():
            face.set_size(_EM_PX, 72)
        return faces

    @cached_property
    def _glyphs(self) -> dict[Path, frozenset[int]]:
        return {font: frozenset(face.get_charmap()) for font, face in self._faces.items()}


def installed_typefaces(more: Sequence[Path] = ()) -> tuple[Typeface, Typeface]:
    """Return a regular and a bold typeface: matplotlib's own DejaVu, `more`, a Korean font.

    The Korean font is the first of `KOREAN_FAMILIES` that matplotlib's font list knows.
    """
    from matplotlib import get_data_path
    from matplotlib.font_manager import fontManager

    own = Path(get_data_path()) / "fonts" / "ttf"
    known = {entry.name: Path(entry.fname) for entry in reversed(fontManager.ttflist)}
    korean = next((known[name] for name in KOREAN_FAMILIES if name in known), None)
    others = (*more, *([korean] if korean else []))
    return (
        Typeface((own / "DejaVuSans.ttf", *others)),
        Typeface((own / "DejaVuSans-Bold.ttf", *others)),
    )


def _numbers(missing: Sequence[str]) -> list[str]:
    return [f"[{' '.join(missing)}]"] if missing else []
