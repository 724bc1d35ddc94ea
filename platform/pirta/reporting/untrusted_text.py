"""Text from outside on its two ways: to the letter for a reader, and disarmed for the model.

`shown_text` keeps every visible character; what could break a line or turn its direction is
taken out. `neutral_text` makes the prompt's copy. Chat templates mark turns by strings that the
tokenizer turns into single control tokens: `<|eot_id|>` (Llama 3), `[INST]`, `<<SYS>>`, `</s>`
(Llama 2), `<|im_start|>` (ChatML), `<start_of_turn>` (Gemma). Each begins with "<" or "[" and a
sign glued to it, so one space behind those two breaks every such string, of models to come as
well. Look-alikes (full-width, small, mathematical brackets) become the plain sign first, since a
tokenizer may normalise them, and invisible characters are taken out, since one may split a
string for the eye of a rule only. Korean and all other scripts stay as they are.

It does not judge content: "ignore the above" stays what a patient said. What that can do is bound
by the grammar of the answer and by the checks after it.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

CUT_MARK: Final = "…"

# Breaks a line or shows nothing that a font could draw: private use, surrogates, unassigned.
_BECOMES_SPACE: Final = frozenset({"Cc", "Co", "Cs", "Cn", "Zl", "Zp", "Zs"})
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\uffa0\ufe00-\ufe0f\U000e0100-\U000e01ef]"
)
_LOOK_ALIKES: Final = str.maketrans(
    {
        **dict.fromkeys("＜﹤‹〈⟨❮❬⦑〈˂ᐸ≺⧼", "<"),
        **dict.fromkeys("＞﹥›〉⟩❯❭⦒〉˃ᐳ≻⧽", ">"),
        **dict.fromkeys("《≪⟪«", "<<"),
        **dict.fromkeys("》≫⟫»", ">>"),
        **dict.fromkeys("［⁅【〔⟦〚", "["),
        **dict.fromkeys("］⁆】〕⟧〛", "]"),
        **dict.fromkeys("｜￨∣│┃ǀ❘❙⏐︱▏▕⎮", "|"),
        **dict.fromkeys("＃﹟♯", "#"),
    }
)
_OPENS: Final = re.compile(r"([<\[])(?=\S)")
_CLOSES: Final = re.compile(r"\|(?=>)")
_HEADING: Final = re.compile(r"#{2,}")


def shown_text(text: str) -> str:
    """Return `text` on one printable line, its visible characters untouched.

    Line breaks, control characters and what no font can draw become a space; format characters
    (direction marks, zero-width signs) go without a trace; runs of white space become one space.
    """
    kept = (_shown_character(character) for character in _INVISIBLE.sub("", text))
    return " ".join("".join(kept).split())


def neutral_text(text: str, *, most_characters: int | None = None) -> str:
    """Return the prompt's copy of `text`: as `shown_text`, and without any control string.

    Args:
        most_characters: where it is longer, it is cut there and ends in `CUT_MARK`.
    """
    plain = shown_text(text).translate(_LOOK_ALIKES)
    plain = _HEADING.sub("#", plain)
    plain = _CLOSES.sub("| ", _OPENS.sub(r"\1 ", plain))
    plain = " ".join(plain.split())
    if most_characters is not None and len(plain) > most_characters:
        return plain[: most_characters - len(CUT_MARK)].rstrip() + CUT_MARK
    return plain


def _shown_character(character: str) -> str:
    category = unicodedata.category(character)
    if category == "Cf":
        return ""
    return " " if category in _BECOMES_SPACE else character
