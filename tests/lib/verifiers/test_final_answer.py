"""Properties of extraction, normalisation and comparison over generated text."""

from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from lib.verifiers.answer import Answer
from lib.verifiers.exact_number import exact, exact_list, settled
from lib.verifiers.final_answer import LONGEST_SPAN, is_mathematics, is_words, last_number, legible, marked, normalised

PIECES = (
    [f"\\{name}" for name in ("boxed{", "frac", "{", "}", "left(", "right)", "text{", "mbox{", ",", "!", ";", "$", "%", "pi", "sqrt", "\\")]
    + [
        "####",
        "A:",
        "Answer:",
        "the answer is",
        "\\dfrac",
        "\\times 10",
        "^\\circ",
        "{,}",
        "1,000",
        ".5",
        "34",
        "567",
        "000",
        "**",
        "km",
        "cm",
    ]
    + list("{}()[]$%,.-+/*^_=eE12xy~\n\u2212\u00d7\u0663\u00df\u200b\u202e\u00b0\ud800\x00")
)
TEXTS = st.lists(st.sampled_from([*PIECES, " "]), max_size=30).map("".join)
ANY = st.text(alphabet=st.characters(), max_size=80)
NUMBERS = st.fractions(min_value=-(10**6), max_value=10**6, max_denominator=999)

quickly = settings(max_examples=400, derandomize=True, deadline=None)


@quickly
@given(TEXTS | ANY)
def test_normalising_twice_changes_nothing_more(text):
    once = normalised(text)
    assert once is None or normalised(once) == once


@quickly
@given(st.from_regex(r"[ ]?\$?-?[0-9]{1,4}(,[0-9]{3}){0,2}(\.[0-9]{0,3})?( [a-z]{2,5})?\.? ?", fullmatch=True))
def test_the_short_way_for_plain_numbers_comes_to_the_same(text):
    assert normalised(text) == normalised(f"\\!{text}")


@quickly
@given(TEXTS | ANY)
def test_nothing_raises_and_nothing_is_too_long(text):
    for span in (marked(text), last_number(text)):
        assert span is None or span.text in text
    plain = normalised(text)
    assert plain is None or len(plain) <= LONGEST_SPAN
    exact(plain or text), exact_list(plain or text), is_words(plain or text), is_mathematics(text), legible(text)


@quickly
@given(TEXTS, TEXTS)
def test_without_mathematics_equality_is_symmetric(one, other):
    forth, back = Answer(symbolic=False).compare([(one, other), (other, one)])
    assert "undecided" in (forth.outcome, back.outcome) or forth.outcome == back.outcome


@quickly
@given(TEXTS)
def test_an_answer_equals_itself(text):
    [judgement] = Answer(symbolic=False).compare([(text, text)])
    assert judgement.outcome == ("undecided" if normalised(text) is None else "correct")


@quickly
@given(NUMBERS, NUMBERS)
def test_numbers_are_equal_exactly_when_their_values_are(one, other):
    forms = [str(one), f"\\frac{{{one.numerator}}}{{{one.denominator}}}".replace("{-", "{"), f"${one.numerator * 3}/{one.denominator * 3}$"]
    if one >= 0:
        assert {settled(normalised(str(one)), normalised(form), 6) for form in forms} == {True}
    assert settled(str(one), str(other), 6) == (one == other)


@quickly
@given(NUMBERS, st.integers(1, 9))
def test_a_decimal_equals_what_rounds_to_it_after_six_places(value, places):
    units = round(abs(value) * 10**places)
    written = f"{'-' if value < 0 else ''}{units // 10**places}.{units % 10**places:0{places}}"
    exactly = Fraction(written)
    rounded = round(value, 6)
    assert settled(str(value), written, 6) == (exactly == value or round(exactly, 6) == rounded != 0)
    assert settled(str(value), written, 6) == settled(written, str(value), 6)
    if places >= 7 and rounded != 0 and abs(value * 10**6 % 1 - Fraction(1, 2)) > Fraction(1, 5):
        assert settled(str(value), written, 6)


@quickly
@given(st.lists(st.integers(-99, 99), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_order_counts_in_brackets_alone(items, random):
    shuffled = list(items)
    random.shuffle(shuffled)
    listed, mixed = ", ".join(map(str, items)), ", ".join(map(str, shuffled))
    assert settled(listed, mixed, 6)
    assert settled(f"\\{{{listed}\\}}", f"\\{{{mixed}\\}}", 6)
    assert settled(f"({listed})", f"({mixed})", 6) == (items == shuffled)


@quickly
@given(TEXTS, st.integers(-(10**9), 10**9))
def test_a_box_at_the_end_is_the_answer(text, value):
    assert marked(f"{text} so \\boxed{{{value}}}").text == str(value)
