import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lib.verifiers.sql_text import order_terms, query_in, split, tokens, without_schema

SQL_LIKE = st.lists(
    st.sampled_from(
        ["SELECT", "with x as (", "'", '"', "--", "/*", "*/", "$$", "$a$", ";", "(", ")", ",", "\n", "```", "```sql\n", "`", " ", "E'\\"]
    )
    | st.text(max_size=3)
).map("".join)


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("SELECT 1", "SELECT 1"),
        ("```sql\nSELECT 1;\n```", "SELECT 1;"),
        ("```sql SELECT 1 ```", "SELECT 1"),
        ("```PostgreSQL\nSELECT 1\n``` or rather\n```SQL\nSELECT 2\n```", "SELECT 2"),
        ("```sql\nSELECT 1\n```\nwhich prints\n```\n1\n```", "SELECT 1"),
        ("```sql\nSELECT 1\n```\nor\n```\nSELECT 2\n```", "SELECT 1"),
        ("```\nWITH x AS (SELECT 1) SELECT * FROM x\n```", "WITH x AS (SELECT 1) SELECT * FROM x"),
        ("```python\nprint(1)\n```\nSELECT 2;", "SELECT 2"),
        ("```SELECT 1```", "SELECT 1"),
        ("```sql\nSELECT 1", "SELECT 1"),
        ("With this query we ask:\nSELECT a\nFROM b;\nIt works.", "SELECT a\nFROM b"),
        ("The query is SELECT a FROM b; it works", "SELECT a FROM b"),
        ("SELECT a FROM b\n\nThis asks for a.", "SELECT a FROM b"),
        ("SELECT ';' AS \"a;b\" /* ; */ FROM b -- ;\nWHERE 1; DROP TABLE c", "SELECT ';' AS \"a;b\" /* ; */ FROM b -- ;\nWHERE 1"),
        ("<think>SELECT 1;</think>SELECT 2", "SELECT 2"),
        ("<answer>SELECT 1 </answer>", "SELECT 1"),
        ("WITH RECURSIVE r(n) AS (SELECT 1) SELECT n FROM r", "WITH RECURSIVE r(n) AS (SELECT 1) SELECT n FROM r"),
        ("(SELECT 1) UNION (SELECT 2)", "(SELECT 1) UNION (SELECT 2)"),
    ],
)
def test_the_query_of_an_answer(text, query):
    found = query_in(text)
    assert found is not None and found.query == query


@pytest.mark.parametrize("text", ["", "Paris", "With pleasure.", "```python\nprint(1)\n```", "selection", "```sql\n```"])
def test_an_answer_without_a_query(text):
    assert query_in(text) is None


@pytest.mark.parametrize(
    ("text", "is_closed"),
    [("SELECT 1", False), ("SELECT 1;", True), ("SELECT 1\n\nso", True), ("```sql\nSELECT 1\n```", True), ("```sql\nSELECT 1;", False)],
)
def test_whether_a_query_is_closed(text, is_closed):
    assert query_in(text).is_closed is is_closed


@pytest.mark.parametrize(
    ("sql", "terms"),
    [
        ("SELECT a FROM b", []),
        ("SELECT a FROM b ORDER BY a DESC NULLS LAST, 2, t.c LIMIT 3", ["a", "2", "t.c"]),
        ("SELECT a FROM (SELECT a FROM b ORDER BY a) AS c", []),
        ("SELECT rank() OVER (ORDER BY a) FROM b", []),
        ("SELECT 'ORDER BY a' FROM b -- ORDER BY a", []),
        ("SELECT a FROM b order /* so */ by coalesce(a, 1) asc;", ["coalesce(a,1)"]),
        ("WITH x AS (SELECT 1 ORDER BY 1) SELECT * FROM x ORDER BY first", ["first"]),
    ],
)
def test_the_terms_of_the_top_level_order(sql, terms):
    assert [term.replace(" ", "") for term in order_terms(sql)] == terms


def test_a_schema_is_taken_off_names_and_left_in_texts():
    assert without_schema("SELECT public.a.b, 'public.x' FROM public.a, \"public\".c, x.public.d -- public.y") == (
        "SELECT a.b, 'public.x' FROM a, c, x.public.d -- public.y"
    )


def test_statements_are_cut_at_semicolons_outside_strings_comments_and_bodies():
    assert split("a; 'b;c' ; -- d;\n ; $$ e;f $$; $x$ ; $$ $x$; /* ; */") == ["a", "'b;c'", "$$ e;f $$", "$x$ ; $$ $x$"]


@given(SQL_LIKE)
@example("SELECT '\x00\ud800")
@example("$a$ $b$")
@example("E'\\")
def test_nothing_raises_and_tokens_make_up_the_text(text):
    assert "".join(token.text for token in tokens(text)) == text
    found = query_in(text)
    if found is not None:
        order_terms(found.query)
        split(found.query)
        assert without_schema(without_schema(found.query)) == without_schema(found.query) or "public" in found.query.lower()


@pytest.mark.parametrize(
    "part", ["'", '"', "`", "```", "(", "--", "/*", "$a$", "$", "WITH a (", "with ", "SELECT ", "\n", ";", "E'\\", "E'\\'", "</", "a"]
)
def test_long_texts_take_little_time(part):
    text = part * (200_000 // len(part))
    start = time.process_time()
    query_in(text)
    query_in("```sql\n" + text)
    order_terms(text[:40_000])
    assert time.process_time() - start < 2
