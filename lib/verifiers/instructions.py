r"""Verifiable instructions: the 25 types of IFEval (Zhou et al. 2023, arXiv 2311.07911), judged by rule as its authors judge them.

Every instruction that the problem lists must be followed; the score is the share that is, and the reason names the others by
their place. A blank text follows none. The conventions are those of google-research/instruction_following_eval:

| type | accepts | rejects |
|---|---|---|
| keywords:existence | every keyword somewhere, in any case, inside words too (`cat` in `Category`) | one missing |
| keywords:frequency | `at least` or `less than` so many occurrences, inside words too | another count |
| keywords:forbidden_words | none of the words, as whole words in any case (`run` in `running` is fine) | one of them |
| keywords:letter_frequency | `at least` or `less than` so many of a letter, in any case | another count |
| language:response_language | the code that langdetect finds, or a text without letters | another language |
| length_constraints:number_sentences | `at least` or `less than` so many sentences as Punkt cuts them (`1.` is one) | another count |
| length_constraints:number_words | so many runs of letters, digits and `_` (`don't` is two) | another count |
| length_constraints:number_paragraphs | exactly so many parts between `***`; blank ends are no parts | a blank part between two dividers |
| length_constraints:nth_paragraph_first_word | so many paragraphs, and the word up to any `.,?!'"` | `elm-tree` for `elm` |
| detectable_content:number_placeholders | at least so many `[…]`, each within a line | `[` without `]` |
| detectable_content:postscript | `P.S.` or `P. S.`, `P.P.S` likewise, else the marker itself, anywhere, in any case | `PS:` for `P.S.` |
| detectable_format:number_bullet_lists | exactly so many lines that begin with `*` or `-` | `**bold**`, `+`, `1.` |
| detectable_format:constrained_response | `My answer is yes.`, `… no.` or `… maybe.` somewhere | another wording |
| detectable_format:number_highlighted_sections | at least so many `*…*` or `**…**`, each within a line | blank ones |
| detectable_format:multiple_sections | at least so many `Section 1`, … by the word given | the word without a number |
| detectable_format:json_format | the whole text is JSON, in a code fence or not | words around it; nesting too deep for the parser |
| detectable_format:title | `<<title>>` within a line | `<< >>` |
| combination:two_responses | two different texts between `******` | three, or the same twice |
| combination:repeat_prompt | the request at the beginning, in any case | a word before it |
| startend:end_checker | the phrase at the end, in any case, before closing `"` | anything after it |
| startend:quotation | `"` first and last | typographic quotes |
| change_case:capital_word_frequency | `at least` or `less than` so many words in capitals, `I`, `A` and `U.S.` among them | another count |
| change_case:english_capital | no small letter, and English to langdetect, which often fails on capitals | a small letter |
| change_case:english_lowercase | no capital letter, and English to langdetect | a capital letter |
| punctuation:no_comma | no `,` | one comma; other scripts' commas pass |

`loose` accepts an instruction that any of eight readings follows: the text as it is, without its first line, its last, or both,
and each of these without asterisks. It forgives a preface and Markdown, and with them some real faults.
Does not catch: a text that follows its instructions and says nothing, or nothing to the point; keywords in the wrong sense.
A text that the length limit cut off is judged as it stands.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Literal

import pyarrow as pa

from lib.protocols import Engine, Tables
from lib.strategy import Strategy
from lib.verifiers.instruction_types import BadInstruction, Instruction, instruction
from lib.verifiers.verdicts import Judgement, verdicts_of

LONGEST = 200_000
"""Characters of a completion that are read; a longer one is wrong."""

Mode = Literal["strict", "loose"]


class Instructions(Strategy):
    """One verdict per completion; undecided where it was not sampled or the problem's instructions cannot be read.

    The problem's `tests` are JSON: a list of objects with the type as `id` and its arguments as `kwargs`.
    """

    mode: Mode = "strict"
    """`strict` judges the text as it is, `loose` the best of eight readings for each instruction."""

    @property
    def name(self) -> str:
        return f"instructions_{self.mode}"

    def verify(self, tables: Tables, engines: Mapping[str, Engine]) -> pa.Table:
        tests = dict(zip(tables.problems["problem_id"].to_pylist(), tables.problems["tests"].to_pylist(), strict=True))
        columns = (tables.completions[name].to_pylist() for name in ("problem_id", "text", "finish_reason"))
        judgements = [_judge(text, tests.get(problem), finish, self.mode) for problem, text, finish in zip(*columns, strict=True)]
        return verdicts_of(tables.completions, self.name, judgements)

    def owes(self, tables: Tables) -> int:
        return tables.completions.num_rows


@functools.lru_cache(maxsize=1024)
def instructions_of(tests: str) -> tuple[Instruction, ...]:
    """The instructions that a problem's `tests` list. Raises BadInstruction."""
    try:
        listed = json.loads(tests)
    except (ValueError, RecursionError):
        raise BadInstruction("the instructions are not JSON") from None
    if not isinstance(listed, list) or not listed or not all(isinstance(item, dict) for item in listed):
        raise BadInstruction("the instructions are no list of objects with id and kwargs")
    return tuple(instruction(item.get("id"), item.get("kwargs", {})) for item in listed)


def followed(text: str, wanted: tuple[Instruction, ...], mode: Mode) -> list[bool]:
    """Whether each instruction is followed, in order. Never raises; linear in the length of the text."""
    texts = [text] if mode == "strict" else _readings(text)
    return [any(one.is_followed(reading) for reading in texts) for one in wanted]


def _readings(text: str) -> list[str]:
    lines = text.split("\n")
    cut = [text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1]))]
    return list(dict.fromkeys([*cut, *(reading.replace("*", "") for reading in cut)]))


def _judge(text: str, tests: str | None, finish_reason: str, mode: Mode) -> Judgement:
    if finish_reason == "error":
        return Judgement("undecided", "not sampled")
    if tests is None:
        return Judgement("undecided", "no instructions")
    try:
        wanted = instructions_of(tests)
    except BadInstruction as bad:
        return Judgement("undecided", f"unreadable instructions: {bad}")
    if len(text) > LONGEST:
        return Judgement("wrong", f"longer than {LONGEST} characters", 0.0)
    found = followed(text, wanted, mode)
    missed = [f"{place} {one.id}" for place, (one, is_met) in enumerate(zip(wanted, found, strict=True), start=1) if not is_met]
    if not missed:
        return Judgement("correct", f"all {len(wanted)} followed", 1.0)
    return Judgement("wrong", f"not followed: {', '.join(missed)}", sum(found) / len(found))
