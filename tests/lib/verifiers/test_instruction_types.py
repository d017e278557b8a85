"""The 25 instruction types: what each accepts and rejects, and that no text hangs or breaks one."""

from __future__ import annotations

import inspect
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.verifiers.instruction_types import TYPES, BadInstruction, instruction
from lib.verifiers.instruction_words import language
from lib.verifiers.instructions import Instructions, followed, instructions_of

ENGLISH = "this is a plain text about the weather and the people who talk about it every day"

CASES = [
    ("keywords:existence", {"keywords": ["cat", "Dog"]}, "a CATEGORY of dogs", "a cat"),
    ("keywords:existence", {"keywords": ["c++", "("]}, "C++ (", "ccc ("),
    ("keywords:frequency", {"keyword": "war", "frequency": 2, "relation": "at least"}, "War and towards", "war"),
    ("keywords:frequency", {"keyword": "war", "frequency": 2, "relation": "less than"}, "war", "war toward"),
    ("keywords:forbidden_words", {"forbidden_words": ["run"]}, "running rung", "I RUN."),
    ("keywords:letter_frequency", {"letter": "Q", "let_frequency": 2, "let_relation": "at least"}, "quick Queen", "quick"),
    ("keywords:letter_frequency", {"letter": "!", "let_frequency": 2, "let_relation": "less than"}, "no! never", "no!!"),
    ("language:response_language", {"language": "de"}, "Das ist ein ganz gewöhnlicher Satz über das Wetter.", ENGLISH),
    ("language:response_language", {"language": "de"}, "1 + 1 = 2", ENGLISH),
    ("length_constraints:number_sentences", {"num_sentences": 3, "relation": "at least"}, "One. Two! Three?", "One. Two e.g, three"),
    ("length_constraints:number_sentences", {"num_sentences": 2, "relation": "less than"}, "Mr. Smith at 5 p.m.", "It is 5. He goes."),
    ("length_constraints:number_words", {"num_words": 4, "relation": "at least"}, "I don't know", "I do know"),
    ("length_constraints:number_words", {"num_words": 4, "relation": "less than"}, "well-known thing", "a well-known thing"),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 2}, "***\none\n***\ntwo\n***", "one\n***\n***\ntwo"),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Elm"},
        'one\n\n"elm, tall"',
        "one\n\nelm-tree",
    ),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 1, "nth_paragraph": 1, "first_word": "elm"},
        "Elm's leaf\n\n",
        "elm\n\nelm",
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 2}, "[a] to [b c]", "[a to b]"),
    ("detectable_content:number_placeholders", {"num_placeholders": 1}, "[]", "[a\nb]"),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "bye\np. s. more", "bye\nPS: more"),
    ("detectable_content:postscript", {"postscript_marker": "P.P.S"}, "P.P.S more", "P.S. more"),
    ("detectable_content:postscript", {"postscript_marker": "NB (a)"}, "nb (a) more", "nb a more"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 2}, "* one\n  - two\n+ no\n**no**", "* one\n- two\n---"),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "*\n* one", "* one\n* two"),
    ("detectable_format:constrained_response", {}, "Well. My answer is maybe. Or so.", "My answer is perhaps."),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 2}, "*one* and **two**", "*one* and * *"),
    ("detectable_format:multiple_sections", {"section_spliter": "Part ", "num_sections": 2}, "Part 1\na\nPart2\nb", "Part 1 PART 2"),
    ("detectable_format:json_format", {}, '```json\n{"a": [1]}\n```', 'Here: {"a": 1}'),
    ("detectable_format:title", {}, "so <<a title>>", "<< >> <a>\n<<"),
    ("combination:two_responses", {}, "one\n******\ntwo", "one\n******\none"),
    ("combination:two_responses", {}, "******one******two******", "one******two******three"),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Say it. "}, " say it. I said it", "OK. Say it."),
    ("startend:end_checker", {"end_phrase": "The end. "}, 'so it is\nthe end."', "the end. Bye"),
    ("startend:quotation", {}, ' "quoted" ', '"'),
    ("change_case:capital_word_frequency", {"capital_frequency": 3, "capital_relation": "at least"}, "I DON'T", "I do NOT"),
    ("change_case:english_capital", {}, "THE PEOPLE WHO LIVE IN THE HOUSE ARE AT HOME, and".upper(), "THE People"),
    ("change_case:english_lowercase", {}, ENGLISH, f"A{ENGLISH}"),
    ("change_case:english_lowercase", {}, ENGLISH, "das ist ein ganz gewöhnlicher satz über das wetter"),
    ("punctuation:no_comma", {}, "no; none\uff0c", "one, two"),
]


@pytest.mark.parametrize(("name", "kwargs", "right", "wrong"), CASES)
def test_each_type_accepts_and_rejects(name, kwargs, right, wrong):
    one = instruction(name, kwargs)
    assert one.is_followed(right)
    assert not one.is_followed(wrong)
    assert not one.is_followed(" \n")


def test_every_type_has_a_case_and_a_line_in_the_table():
    assert {name for name, _, _, _ in CASES} == set(TYPES)
    document = inspect.getdoc(inspect.getmodule(Instructions)) or ""
    assert [name for name in TYPES if f"| {name} |" not in document] == []


def hostile():
    n = 100_000
    lines = {
        "letters": "a" * n,
        "words": "word " * (n // 5),
        "newlines": "\n" * n,
        "spaces": " " * (n - 1) + "x",
        "blank lines and bullets": "\n \n*" * (n // 5),
        "asterisks": "*" * n,
        "asterisks apart": "* a" * (n // 3),
        "opening brackets": "[" * n,
        "brackets": "[]" * (n // 2),
        "opening angles": "<" * n,
        "angles": "<<a>" * (n // 4),
        "closing angles": "<<" + ">" * (n - 2),
        "periods": "." * n,
        "periods apart": ". " * (n // 2),
        "one long chunk of ends": "a.)" * (n // 3),
        "ends and quotes": 'a."' * (n // 3),
        "question marks": "?!" * (n // 2),
        "quotes": '"' * n,
        "apostrophes": "'" * n,
        "commas": "," * n,
        "hyphens": "-" * n,
        "numbers": "1." * (n // 2),
        "long number": "1" * n + "x",
        "capitals": "DON'T " * (n // 6),
        "postscripts": "p." * (n // 2),
        "mail": "a" * 64 + "@" + "a@" * (n // 2 - 40),
        "addresses": "http://" + "a" * (n - 7),
        "nested JSON": "[" * (n // 2) + "]" * (n // 2),
        "nested objects": '{"a":' * (n // 5),
        "JSON string": '"' + "\\" * (n - 1),
        "null bytes": "\0" * n,
        "surrogates": "\ud800" * n,
        "right to left": "\u202e\u0627 " * (n // 3),
        "combining": "e" + "\u0301" * (n - 1),
        "emoji": "\U0001f600 " * (n // 2),
        "dotted capital I": "\u0130" * n,
        "fences": "```" * (n // 3),
    }
    return list(lines.items())


ARGUMENTS = {
    "keywords:existence": {"keywords": ["aab", "\\"]},
    "keywords:frequency": {"keyword": "aab", "frequency": 3, "relation": "at least"},
    "keywords:forbidden_words": {"forbidden_words": ["aab", "("]},
    "keywords:letter_frequency": {"letter": "\u0130", "let_frequency": 3, "let_relation": "less than"},
    "detectable_format:multiple_sections": {"section_spliter": "a a", "num_sections": 3},
    **{name: kwargs for name, kwargs, _, _ in CASES if not name.startswith("keywords") and name != "detectable_format:multiple_sections"},
}


@pytest.mark.parametrize(("name", "text"), hostile(), ids=[name for name, _ in hostile()])
def test_hostile_text_is_judged_in_linear_time(name, text):
    wanted = tuple(instruction(kind, kwargs) for kind, kwargs in ARGUMENTS.items())
    assert len(wanted) == len(TYPES)
    language(ENGLISH)  # load the profiles
    started = time.process_time()
    strict = followed(text, wanted, "strict")
    assert time.process_time() - started < 4, name
    assert len(strict) == len(TYPES)


SMALL = st.integers(0, 5)
RELATIONS = st.sampled_from(["at least", "less than"])
WORDS = st.text(min_size=1, max_size=6)
STRATEGIES = {
    "keywords:existence": {"keywords": st.lists(WORDS, min_size=1, max_size=3)},
    "keywords:frequency": {"keyword": WORDS, "frequency": SMALL, "relation": RELATIONS},
    "keywords:forbidden_words": {"forbidden_words": st.lists(WORDS, min_size=1, max_size=3)},
    "keywords:letter_frequency": {"letter": st.characters(), "let_frequency": SMALL, "let_relation": RELATIONS},
    "language:response_language": {"language": st.sampled_from(["en", "de", "zh-cn", "xx"])},
    "length_constraints:number_sentences": {"num_sentences": SMALL, "relation": RELATIONS},
    "length_constraints:number_words": {"num_words": SMALL, "relation": RELATIONS},
    "length_constraints:number_paragraphs": {"num_paragraphs": SMALL},
    "length_constraints:nth_paragraph_first_word": {"num_paragraphs": SMALL, "nth_paragraph": st.integers(1, 5), "first_word": WORDS},
    "detectable_content:number_placeholders": {"num_placeholders": SMALL},
    "detectable_content:postscript": {"postscript_marker": st.sampled_from(["P.S.", "P.P.S", "(", "NB"])},
    "detectable_format:number_bullet_lists": {"num_bullets": SMALL},
    "detectable_format:number_highlighted_sections": {"num_highlights": SMALL},
    "detectable_format:multiple_sections": {"section_spliter": WORDS, "num_sections": SMALL},
    "combination:repeat_prompt": {"prompt_to_repeat": WORDS},
    "startend:end_checker": {"end_phrase": WORDS},
    "change_case:capital_word_frequency": {"capital_frequency": SMALL, "capital_relation": RELATIONS},
}
TEXTS = st.text(max_size=200) | st.text(alphabet="aA1 .!?*-\"'<>[]{}\n,:`\\", max_size=200)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), name=st.sampled_from(sorted(TYPES)), text=TEXTS)
def test_no_text_raises_and_what_is_followed_strictly_is_followed_loosely(data, name, text):
    kwargs = {field: data.draw(values) for field, values in STRATEGIES.get(name, {}).items()}
    wanted = instructions_of(json.dumps([{"id": name, "kwargs": kwargs}]))
    assert followed(text, wanted, "strict") <= followed(text, wanted, "loose")


ANYTHING = st.recursive(st.none() | st.integers() | st.text(), st.lists)
FIELDS = st.sampled_from(["keywords", "relation", "num_words", "letter"])


@given(
    name=st.text() | st.sampled_from(sorted(TYPES)),
    arguments=ANYTHING | st.dictionaries(FIELDS, st.none() | st.floats() | st.text() | st.lists(st.text())),
)
def test_arguments_are_read_or_refused(name, arguments):
    try:
        assert instruction(name, arguments).id == name
    except BadInstruction as bad:
        assert str(bad)
