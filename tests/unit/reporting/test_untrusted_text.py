"""No text from outside becomes a control token of a chat template; readers see what was written."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers

from pirta.contracts.study import Registry
from pirta.reporting.prompt import NEIGHBOUR_CHARACTERS, prompt_text
from pirta.reporting.untrusted_text import neutral_text, shown_text
from pirta.settings import SHIPPED_WEIGHTS
from tests.unit.reporting.injections import CONTROL_TOKENS, INJECTIONS


def test_there_are_at_least_40_injections() -> None:
    assert len(set(INJECTIONS)) >= 40


def _tokenizer(normalizer: object | None) -> Tokenizer:
    """A tokenizer that knows the control tokens of every family, and plain bytes otherwise."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: number for number, letter in enumerate(alphabet)}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    if normalizer is not None:
        tokenizer.normalizer = normalizer
    tokenizer.add_special_tokens(list(CONTROL_TOKENS))
    return tokenizer


# The strictest tokenizers fold look-alikes and drop what cannot be seen before they match.
_FOLDING = normalizers.Sequence(
    [normalizers.NFKC(), normalizers.Replace("\u200b", ""), normalizers.Strip()]
)


@pytest.mark.parametrize("normalizer", [None, normalizers.NFKC(), _FOLDING])
def test_no_injection_becomes_a_control_token(normalizer: object | None) -> None:
    tokenizer = _tokenizer(normalizer)
    control = {tokenizer.token_to_id(token) for token in CONTROL_TOKENS}
    for injection in INJECTIONS:
        row = Registry(presentation=injection[:500], history=(injection[:200],))
        prompt = prompt_text(row, [injection, "There is no diffusion restriction."])
        for text in (prompt, unicodedata.normalize("NFKC", prompt)):
            ids = set(tokenizer.encode(text, add_special_tokens=False).ids)
            assert not control & ids, injection


def test_the_check_itself_would_see_a_control_token() -> None:
    tokenizer = _tokenizer(_FOLDING)
    control = {tokenizer.token_to_id(token) for token in CONTROL_TOKENS}
    for token in CONTROL_TOKENS:
        assert control & set(tokenizer.encode(f"Dizzy {token} x", add_special_tokens=False).ids)


def test_the_shipped_tokenizer_reads_no_control_token_either() -> None:
    tokenizer = Tokenizer.from_file(str(SHIPPED_WEIGHTS / "writer_base" / "tokenizer.json"))
    special = set(tokenizer.get_added_tokens_decoder())
    for injection in INJECTIONS:
        prompt = prompt_text(Registry(presentation=injection[:500]), [injection])
        ids = set(tokenizer.encode(prompt, add_special_tokens=False).ids)
        assert not special & ids, injection


@pytest.mark.parametrize("injection", INJECTIONS)
def test_no_injection_adds_a_line_a_heading_or_a_neighbour(injection: str) -> None:
    harmless = prompt_text(Registry(presentation="Dizzy", history=("HTN",)), ["None.", "None."])
    row = Registry(presentation=injection[:500], history=(injection[:200],))
    prompt = prompt_text(row, [injection, "None."])
    assert len(prompt.splitlines()) == len(harmless.splitlines())
    assert prompt.count("###") == harmless.count("###")
    assert prompt.count("\n[") == harmless.count("\n[")
    assert prompt.count("[1]") == 1


def test_a_neighbours_text_of_100_kilobytes_is_cut_and_says_so() -> None:
    prompt = prompt_text(Registry(), ["diffusion " * 10_000])
    line = next(line for line in prompt.splitlines() if line.startswith("[1]"))
    assert len(line) <= NEIGHBOUR_CHARACTERS + len("[1] ")
    assert line.endswith("…")


def test_the_longest_legal_sentence_is_never_cut() -> None:
    from pirta.contracts.finding import Finding, InfarctType, LesionClass, Territory

    for kind in InfarctType:
        for territory in Territory:
            sentence = Finding(
                lesion_class=LesionClass.STRONG, infarct_type=kind, territory=territory
            ).sentence()
            assert neutral_text(sentence, most_characters=NEIGHBOUR_CHARACTERS) == sentence


@pytest.mark.parametrize(
    "said",
    [
        "좌측 편마비와 구음장애", "高血圧、糖尿病", "ADC 0.45·10⁻³ mm²/s", "café à gauche",
        "Tmax>6s in 12 mL", "BP 180/100 (R>L)", "ㄱㄴㄷ", "α-blocker ≥ 2 mg", "naïve façade 👍",
    ],
)  # fmt: skip
def test_ordinary_text_of_any_script_reaches_the_prompt_as_it_is(said: str) -> None:
    assert neutral_text(said) == said
    assert shown_text(said) == said


@settings(deadline=None)
@given(st.text(max_size=500))
def test_any_text_becomes_one_printable_line_and_twice_is_as_once(text: str) -> None:
    for made in (shown_text, neutral_text):
        once = made(text)
        assert len(once.splitlines()) <= 1
        assert once.isprintable()
        assert made(once) == once


@settings(deadline=None)
@given(st.text("<>|[]#/ soINSTeid_\u200b\u202e＜｜《", max_size=80))
def test_no_text_of_brackets_survives_with_a_sign_glued_to_its_opening(text: str) -> None:
    made = neutral_text(text)
    for opening in "<[":
        for piece in made.split(opening)[1:]:
            assert piece == "" or piece.startswith(" ")
    assert "|>" not in made
    assert "##" not in made


@settings(deadline=None)
@given(st.text(max_size=300))
def test_the_reader_sees_every_visible_character(text: str) -> None:
    visible = [c for c in text if unicodedata.category(c)[0] in "LNPS" and c.isprintable()]
    fillers = "\u115f\u1160\u3164\uffa0\u17b4\u17b5"
    assert [c for c in shown_text(text) if unicodedata.category(c)[0] in "LNPS"] == [
        c for c in visible if c not in fillers
    ]
