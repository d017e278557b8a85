"""What a judge asks, and how its reply is read.

A reply is read in this order: the last `[[X]]`; what follows the last `Verdict:`, `Rating:` or `Score:` (bold marks aside);
the last line that is not blank, if X is all it says; and for yes or no the first word. X must be of the form that was asked
for, or the reply is unreadable: nothing is guessed from its wording.
"""

from __future__ import annotations

import re
from typing import Literal

Form = Literal["rating", "yes_no", "pairwise", "first_error"]

TEMPLATES: dict[str, str] = {
    "rating": """Question:
{prompt}

Answer:
{completion}

Rate how good the answer is, from 0 (useless) to {scale} (perfect). Give your reasons briefly, then end with a line such as
Rating: 4""",
    "yes_no": """Question:
{prompt}

Answer:
{completion}

Is the answer correct? Give your reasons briefly, then end with one of the lines
Verdict: yes
Verdict: no""",
    "pairwise": """Question:
{prompt}

Answer A:
{completion}

Answer B:
{rival}

Which answer is better? Give your reasons briefly, then end with one of the lines
Verdict: A
Verdict: B
Verdict: tie""",
    "first_error": """Question:
{prompt}

An answer in steps:
{steps}

Which is the first step that is wrong? Give your reasons briefly, then end with its number, or with 0 if all are right, such as
Verdict: 2""",
}
"""Form of judging → what is asked unless the recipe says otherwise."""

_SHAPES: dict[str, str] = {
    "rating": r"[0-9]{1,6}(?:\.[0-9]{1,6})?",
    "yes_no": r"yes|no",
    "pairwise": r"a|b|tie",
    "first_error": r"[0-9]{1,6}|none",
}
_BOXED = {form: re.compile(rf"\[\[[ ]?({shape})[ ]?\]\]", re.IGNORECASE) for form, shape in _SHAPES.items()}
_MARKED = {
    form: re.compile(rf"\b(?:verdict|rating|score)[*_]{{0,2}}[ ]?[:=][ *_]{{0,3}}(?:answer |step )?({shape})(?![\w.]?\w)", re.IGNORECASE)
    for form, shape in _SHAPES.items()
}
_ALONE = {form: re.compile(rf"[*_]{{0,2}}({shape})[*_]{{0,2}}\.?", re.IGNORECASE) for form, shape in _SHAPES.items()}
_FIRST = re.compile(r"\W{0,3}(yes|no)\b", re.IGNORECASE)

LONGEST = 40_000
"""Characters of a reply that are read, counted from the end."""


def read(reply: str, form: Form) -> str | None:
    """The judge's word in small letters (`yes`, `7.5`, `a`, `3`), or None where the reply is unreadable. Never raises."""
    reply = reply[-LONGEST:]
    for pattern in (_BOXED[form], _MARKED[form]):
        found = pattern.findall(reply)
        if found:
            return str(found[-1]).lower()
    last = reply.strip().rpartition("\n")[2].strip()
    match = _ALONE[form].fullmatch(last) or (_FIRST.match(reply) if form == "yes_no" else None)
    return match[1].lower() if match else None
