import datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lib.sandboxed.channel import Broken
from lib.sandboxed.values import decode, encode

plain = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters())
    | st.binary()
    | st.complex_numbers(allow_nan=False)
)
hashable = (
    plain | st.tuples(plain, plain) | st.frozensets(plain) | st.decimals(allow_nan=False) | st.fractions() | st.dates() | st.timedeltas()
)
values = st.recursive(
    hashable | st.datetimes() | st.times(),
    lambda inner: st.lists(inner) | st.dictionaries(hashable, inner) | st.tuples(inner) | st.sets(hashable),
    max_leaves=8,
)


def refuse(*_):
    raise AssertionError("an object was to cross")


@given(values)
@example(datetime.datetime(2000, 1, 1, fold=1))
@example(datetime.time(1, fold=1))
def test_a_plain_value_comes_back_equal_and_of_its_type(value):
    back = decode(encode(value, refuse), refuse)
    assert back == value
    assert type(back) is type(value)
    assert repr(back) == repr(value) or isinstance(value, set | frozenset | dict | list | tuple)


def test_what_is_no_plain_value_is_exported_and_resolved():
    assert encode([object(), 1], lambda value: b"o7;") == b"l2;o7;i1;"
    assert decode(b"t2;o7;pa;", lambda sign, number: (sign, number)) == ((b"o", 7), (b"p", 10))


def test_a_subclass_crosses_as_its_base_whatever_it_says_of_itself():
    class Sly(int):
        def __eq__(self, other):
            return True

        __hash__ = int.__hash__
        __index__ = __int__ = lambda self: 6

    back = decode(encode(Sly(5), refuse), refuse)
    assert (back, type(back)) == (5, int)


@given(st.binary(max_size=60) | st.text(alphabet="NTl t;im0123456789abcdefsDSZ+-", max_size=60).map(str.encode))
def test_any_bytes_are_a_value_or_broken(body):
    try:
        decode(body, lambda sign, number: number)
    except Broken as error:
        assert str(error)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"l5;N",
        b"l-1;",
        b"s9;x",
        b"i;",
        b"zz",
        b"l1;" * 10_000,
        b"mt2;s2;ios6;system",
        b"mt3;s8;builtinss4;evals1;1",
        b"T4;eval",
        b"S1;l0;",
    ],
)
def test_what_nobody_would_send_is_broken(body):
    with pytest.raises(Broken):
        decode(body, refuse)
