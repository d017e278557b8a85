"""The 25 instruction types of IFEval, each a function of the text and the instruction's arguments.

What each accepts and rejects stands in lib/verifiers/instructions.py. Keywords are literal text, matched in any case.
"""

from __future__ import annotations

import functools
import inspect
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from lib.verifiers.instruction_sentences import sentences
from lib.verifiers.instruction_words import capital_words, language

Relation = Literal["at least", "less than"]
Count = Annotated[int, Field(ge=0)]
Place = Annotated[int, Field(ge=1)]
Letter = Annotated[str, Field(min_length=1, max_length=1)]
Text = Annotated[str, Field(min_length=1)]
Texts = Annotated[list[Text], Field(min_length=1)]

ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_FENCES = ("```json", "```Json", "```JSON", "```")
_WORD = re.compile(r"\w+")
_POSTSCRIPTS = {"P.S.": re.compile(r"p\.\s?s\."), "P.P.S": re.compile(r"p\.\s?p\.\s?s")}


class BadInstruction(ValueError):
    """An instruction that cannot be judged: its type is unknown or its arguments do not fit; the message says why."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One verifiable instruction with its arguments."""

    id: str
    arguments: Mapping[str, Any]

    def is_followed(self, text: str) -> bool:
        """Whether the text follows it; a blank text follows none."""
        return bool(text.strip()) and TYPES[self.id](text, **self.arguments)


def instruction(name: object, arguments: object) -> Instruction:
    """An instruction with its arguments checked. Raises BadInstruction."""
    if not isinstance(name, str) or name not in TYPES:
        raise BadInstruction(f"unknown instruction {name!r}")
    if not isinstance(arguments, Mapping):
        raise BadInstruction(f"{name}: its arguments are {type(arguments).__name__}, not an object")
    try:
        checked = _arguments_of(name).model_validate(arguments)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise BadInstruction(f"{name}: argument '{'.'.join(map(str, first['loc']))}': {first['msg']}") from None
    return Instruction(name, {field: getattr(checked, field) for field in type(checked).model_fields})


@functools.cache
def _arguments_of(name: str) -> type[BaseModel]:
    hints = get_type_hints(TYPES[name], include_extras=True)
    fields: dict[str, Any] = {given: (hints[given], ...) for given in list(inspect.signature(TYPES[name]).parameters)[1:]}
    return create_model(name, __config__=ConfigDict(extra="forbid", frozen=True), **fields)


def _compare(found: int, relation: Relation, wanted: int) -> bool:
    return found >= wanted if relation == "at least" else found < wanted


def _holds(text: str, keyword: str) -> bool:
    return re.search(re.escape(keyword), text, re.IGNORECASE) is not None


def keyword_existence(text: str, keywords: Texts) -> bool:
    return all(_holds(text, keyword) for keyword in keywords)


def keyword_frequency(text: str, keyword: Text, frequency: Count, relation: Relation) -> bool:
    return _compare(len(re.findall(re.escape(keyword.strip()), text, re.IGNORECASE)), relation, frequency)


def forbidden_words(text: str, forbidden_words: Texts) -> bool:
    return not any(re.search(rf"\b{re.escape(word)}\b", text, re.IGNORECASE) for word in forbidden_words)


def letter_frequency(text: str, letter: Letter, let_frequency: Count, let_relation: Relation) -> bool:
    return _compare(text.lower().count(letter.lower()), let_relation, let_frequency)


def response_language(text: str, language: Text) -> bool:
    return _language_is(text, language)


def _language_is(text: str, wanted: str) -> bool:
    return language(text) in (wanted, None)


def number_sentences(text: str, num_sentences: Count, relation: Relation) -> bool:
    return _compare(len(sentences(text)), relation, num_sentences)


def number_words(text: str, num_words: Count, relation: Relation) -> bool:
    return _compare(len(_WORD.findall(text)), relation, num_words)


def number_paragraphs(text: str, num_paragraphs: Count) -> bool:
    return _parts(text, "***") == num_paragraphs


def two_responses(text: str) -> bool:
    return _parts(text, "******") == 2 and len({part.strip() for part in text.split("******") if part.strip()}) == 2


def _parts(text: str, divider: str) -> int | None:
    """How many parts a divider makes, a blank first and last one not counted; None where one between is blank."""
    parts = [bool(part.strip()) for part in text.split(divider)]
    return sum(parts) if all(parts[1:-1]) else None


def nth_paragraph_first_word(text: str, num_paragraphs: Count, nth_paragraph: Place, first_word: Text) -> bool:
    parts = text.split("\n\n")
    if sum(bool(part.strip()) for part in parts) != num_paragraphs or nth_paragraph > num_paragraphs:
        return False
    words = parts[nth_paragraph - 1].split(maxsplit=1)
    return bool(words) and re.split(r"[.,?!'\"]", words[0].lstrip("'").lstrip('"'), maxsplit=1)[0].lower() == first_word.lower()


def number_placeholders(text: str, num_placeholders: Count) -> bool:
    return sum(_bracketed(line) for line in text.split("\n")) >= num_placeholders


def _bracketed(line: str) -> int:
    """How many `[…]` follow each other in a line; a search for each bracket would take time quadratic in `[[[[…`."""
    found, end = 0, -1
    while (start := line.find("[", end + 1)) >= 0 and (end := line.find("]", start)) >= 0:
        found += 1
    return found


def postscript(text: str, postscript_marker: Text) -> bool:
    pattern = _POSTSCRIPTS.get(postscript_marker.strip())
    return pattern.search(text.lower()) is not None if pattern else postscript_marker.strip().lower() in text.lower()


def number_bullet_lists(text: str, num_bullets: Count) -> bool:
    lines = iter(text.split("\n"))
    found = 0
    for line in lines:
        start = line.lstrip()[:2]
        if start == "*":  # a lone asterisk is the bullet of the line below it, where there is one
            found += next(lines, None) is not None
        else:
            found += start.startswith("-") or (start.startswith("*") and start != "**")
    return found == num_bullets


def number_highlighted_sections(text: str, num_highlights: Count) -> bool:
    single = [found for found in re.findall(r"\*([^\n*]*)\*", text) if found.strip()]
    double = [found for found in re.findall(r"\*\*([^\n*]*)\*\*", text) if found.strip()]
    return len(single) + len(double) >= num_highlights


def multiple_sections(text: str, section_spliter: Text, num_sections: Count) -> bool:
    return len(re.findall(rf"{re.escape(section_spliter.strip())}\s?\d+", text)) >= num_sections


def title(text: str) -> bool:
    return any(_has_title(line) for line in text.split("\n"))


def _has_title(line: str) -> bool:
    start, end = line.find("<<"), line.rfind(">>")
    return 0 <= start < end - 2 and bool(line[start:end].lstrip("<").rstrip(">").strip())


def json_format(text: str) -> bool:
    body = text.strip()
    for fence in _FENCES:
        body = body.removeprefix(fence)
    try:
        json.loads(body.removesuffix("```").strip())
    except (ValueError, RecursionError):  # nested deeper than the parser goes is no JSON that anybody reads
        return False
    return True


def constrained_response(text: str) -> bool:
    return any(answer in text for answer in ANSWERS)


def repeat_prompt(text: str, prompt_to_repeat: Text) -> bool:
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


def end_checker(text: str, end_phrase: Text) -> bool:
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def quotation(text: str) -> bool:
    body = text.strip()
    return len(body) > 1 and body.startswith('"') and body.endswith('"')


def no_comma(text: str) -> bool:
    return "," not in text


def english_capital(text: str) -> bool:
    return text.isupper() and _language_is(text, "en")


def english_lowercase(text: str) -> bool:
    return text.islower() and _language_is(text, "en")


def capital_word_frequency(text: str, capital_frequency: Count, capital_relation: Relation) -> bool:
    return _compare(capital_words(text), capital_relation, capital_frequency)


TYPES: Mapping[str, Callable[..., bool]] = {
    "keywords:existence": keyword_existence,
    "keywords:frequency": keyword_frequency,
    "keywords:forbidden_words": forbidden_words,
    "keywords:letter_frequency": letter_frequency,
    "language:response_language": response_language,
    "length_constraints:number_sentences": number_sentences,
    "length_constraints:number_paragraphs": number_paragraphs,
    "length_constraints:number_words": number_words,
    "length_constraints:nth_paragraph_first_word": nth_paragraph_first_word,
    "detectable_content:number_placeholders": number_placeholders,
    "detectable_content:postscript": postscript,
    "detectable_format:number_bullet_lists": number_bullet_lists,
    "detectable_format:constrained_response": constrained_response,
    "detectable_format:number_highlighted_sections": number_highlighted_sections,
    "detectable_format:multiple_sections": multiple_sections,
    "detectable_format:json_format": json_format,
    "detectable_format:title": title,
    "combination:two_responses": two_responses,
    "combination:repeat_prompt": repeat_prompt,
    "startend:end_checker": end_checker,
    "startend:quotation": quotation,
    "change_case:capital_word_frequency": capital_word_frequency,
    "change_case:english_capital": english_capital,
    "change_case:english_lowercase": english_lowercase,
    "punctuation:no_comma": no_comma,
}
