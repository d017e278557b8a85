"""English sentences, cut where the Punkt algorithm cuts them (Kiss & Strunk 2006), whose counts the labels of IFEval rest on.

A sentence may end at `.`, `?` or `!` before white space or closing punctuation. Whether it does is decided token by token:
`?` and `!` end it; a period does, unless it belongs to an abbreviation, an initial, a dotted pause (`...`) or the number of a
list, after which the next word decides. Closing quotes and brackets go to the sentence before them.
The abbreviations, sentence openers and word pairs are facts of the English model that comes with the Natural Language
Toolkit, learnt from the Wall Street Journal: `etc.`, `e.g.` and `P.S.` are not among them, so a sentence ends there.
That model also knows how each of some 20,000 words is usually capitalised; here a short list of words
stands for it, so that a cut after an abbreviation, an initial or a dotted pause may differ where a capitalised word follows.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

_CLOSING = r"[)\";}\]*:@'({\[?!]"
"""What may follow a word or its period without white space."""
_ENDS = re.compile(rf"[.?!](?={_CLOSING})|[.?!]$")
_TOKEN = re.compile(rf"-{{2,}}|\.{{2,}}|[^(\"`{{\[:;&#*@)}}\]\-,\s]\S*?(?=\s|$|{_CLOSING}|--|\.\.|,(?:$|\s|{_CLOSING}|--|\.\.))|\S")
_TRAILING = re.compile(r"[\"')\]}]+?(?:\s+|(?=--)|$)", re.MULTILINE)
_CHUNK = re.compile(r"\S+")
_NUMBER = re.compile(r"-?[.,]?\d[\d,.-]*\.?")
_INITIAL = re.compile(r"[^\W\d]\.")
_NUMERAL = "##number##"


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


_ABBREVIATIONS = _set(
    "mr mrs ms messrs dr prof sr jr st gen col maj lt adm sen rep reps ph.d m.b.a "  # titles
    "co cos corp inc ltd bros cie s.a s.p.a b.v n.v a.g "  # companies
    "jan feb aug sep sept oct nov dec tues wed fri a.m p.m a.d yr "  # times
    "u.s u.k u.n u.s.a u.s.s.r d.c l.a n.y n.j n.h n.c n.d n.m s.c r.i w.va "  # places
    "ala ariz calif colo conn fla ga ill kan ky mich minn nev okla ore pa tenn va vt wash wis "
    "ave ft mg ct chg vs ok sw "
    "a.a a.c a.h a.s a.t b.f c.v d.h d.w e.f e.h e.l e.m f.g f.j g.d g.f g.k h.c h.f h.m j.b j.c j.j j.k j.p j.r k m.j "  # names
    "l.f l.p r.a r.h r.j r.k r.t s.g s.s t.j w.c w.r w.w a.m.e c.i.t c.o.m.b i.m.s m.d.c p.a.m s.a.y "
    "c d e f g h l m n p r s t v w"
)
_OPENERS = _set(
    "according although among both but despite even he however i if in indeed instead it many meanwhile moreover most "
    "nevertheless nonetheless nor sales separately similarly since so some the there these they this though "
    "thus under when while yet"
)
_AFTER_NUMBER = _set(
    "abreast business colgate commodities cooper corrections credit dividend financing insider international leisure letters "
    "notable pay-fone pegasus pepper review who"
)
_RARE_IN_HEADLINES = _set(
    "adding anyone anything anyway considering everyone everything finally given let let's maybe nobody nothing particularly perhaps "
    "please remember simply sometimes somebody someone something soon suddenly therefore wait your"
)
"""Further words that, with a capital after an abbreviation or a pause, begin a sentence: the model knows them in lower case and
never saw them with a capital inside one, as it did most words of headlines."""
_FUNCTION_WORDS = _set(
    "a about after all an and are as at because before by can do does for from had has have her his how is its my no not now of on or our "
    "she that their them then to was we were what where which who why will with would you your"
)
"""Words that are seldom names and so begin a sentence after an initial."""
_PUNCTUATION = frozenset(";:,.!?")
_LABELS = frozenset("ABIabi")
"""The initials, among those that are no abbreviations, that more often number a heading than begin a name."""


def sentences(text: str) -> list[str]:
    """The sentences of a text, each with its closing quotes and brackets. Linear in the length of the text."""
    found = []
    skip = 0  # characters of the next piece that went to the sentence before it
    pieces = list(_pieces(text))
    for (start, stop), following in zip(pieces, [*pieces[1:], None], strict=True):
        start += skip
        closing = _TRAILING.match(text[slice(*following)]) if following else None
        skip = closing.end() if closing else 0
        if closing and following:
            found.append(text[start : following[0] + len(closing[0].rstrip())])
        elif start < stop:
            found.append(text[start:stop])
    return found


def _pieces(text: str) -> Iterator[tuple[int, int]]:
    chunks = list(_CHUNK.finditer(text))
    start = 0
    for before, chunk, following in zip([None, *chunks], chunks, [*chunks[1:], None], strict=False):
        end = _last_end(chunk[0], is_last=following is None)
        if end is None:
            continue
        if chunk.start() + end < chunk.end():  # closing punctuation follows within the chunk
            tokens, resume = _TOKEN.findall(chunk[0][: end + 1]), chunk.start() + end
        else:
            assert following is not None
            tokens, resume = [*_TOKEN.findall(chunk[0]), *_TOKEN.findall(following[0])], following.start()
        same_line = before is not None and "\n" not in text[before.end() : chunk.start()]
        if any(_ends_sentence(*pair, before[0] if before and same_line else "") for pair in itertools.pairwise(tokens)):
            yield start, chunk.start() + end
            start = resume
    yield start, len(text.rstrip())


def _last_end(chunk: str, *, is_last: bool) -> int | None:
    """Where the last possible end of a sentence stops in a piece of text without white space."""
    ends = [match.end() for match in _ENDS.finditer(chunk)]
    if ends and is_last and ends[-1] == len(chunk):
        ends.pop()
    return ends[-1] if ends else None


def _ends_sentence(token: str, following: str, before: str) -> bool:
    """Whether a sentence ends at a token, from the token after it and the piece before it on its line."""
    if token in ("?", "!"):
        return True
    if not token.endswith("."):
        return False
    word, next_word, capital = _word(token), _word(following), following[0].isupper()
    if _INITIAL.fullmatch(token):
        is_name = token[0] not in _LABELS or before[:1].isupper()
        begins = not capital or not is_name or any(next_word in words for words in (_OPENERS, _RARE_IN_HEADLINES, _FUNCTION_WORDS))
        return not _is_abbreviation(token) and not following[0].islower() and following not in _PUNCTUATION and begins
    if _is_abbreviation(token) or token.endswith(".."):
        return capital and (next_word in _OPENERS or next_word in _RARE_IN_HEADLINES)
    if word == _NUMERAL:
        return not following[0].islower() and following not in _PUNCTUATION and next_word not in _AFTER_NUMBER
    return True


def _is_abbreviation(token: str) -> bool:
    word = token[:-1].lower()
    return word in _ABBREVIATIONS or word.rpartition("-")[2] in _ABBREVIATIONS


def _word(token: str) -> str:
    """A token in lower case without its period; numbers are all alike."""
    if _NUMBER.fullmatch(token):
        return _NUMERAL
    word = token.lower()
    return word[:-1] if len(word) > 1 and word.endswith(".") and not word.endswith("..") else word
