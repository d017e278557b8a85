import json
import sqlite3

import pytest

from lib import records, tables
from lib.errors import BadProblems
from lib.protocols import Tables
from lib.verifiers.sql import Sql
from tests.filter_stage import completion, problem

DUMP = """
CREATE TABLE public.author (aid bigint NOT NULL, name text, born date);
CREATE TABLE public.paper (pid bigint, aid bigint, year bigint, cited numeric(10,2));
INSERT INTO public.author VALUES (1, 'Ada', '1815-12-10'), (2, 'Alan', '1912-06-23'), (3, 'Grace', NULL);
INSERT INTO public.paper VALUES (1, 1, 1843, 0.5), (2, 2, 1936, 2), (3, 2, 1950, 2), (4, 3, 1952, 1);
"""
HOSTILE = [
    ("DELETE FROM author", "not a single SELECT"),
    ("UPDATE author SET name = 'x'", "not a single SELECT"),
    ("DROP TABLE author", "not a single SELECT"),
    ("INSERT INTO author VALUES (9, 'x', NULL)", "not a single SELECT"),
    ("WITH x AS (DELETE FROM author RETURNING *) SELECT * FROM x", "read-only"),
    ("WITH x AS (INSERT INTO author VALUES (9, 'x', NULL) RETURNING *) SELECT * FROM x", "read-only"),
    ("SELECT 1; DROP TABLE author", "not a single SELECT"),
    ("ROLLBACK; DELETE FROM author", "not a single SELECT"),
    ("CREATE TEMP TABLE z AS SELECT 1", "not a single SELECT"),
    ("ATTACH '{folder}/other.db'", "not a single SELECT"),
    ("COPY author TO '{folder}/author.csv'", "not a single SELECT"),
    ("WITH x AS (COPY author TO '{folder}/author.csv') SELECT * FROM x", "file system operations are disabled"),
    ("EXPORT DATABASE '{folder}/out'", "not a single SELECT"),
    ("SELECT * FROM read_csv('{folder}/secret.csv')", "file system operations are disabled"),
    ("SELECT * FROM read_text('{folder}/secret.csv')", "file system operations are disabled"),
    ("SELECT * FROM '{folder}/secret.csv'", "secret.csv"),
    ("SELECT * FROM glob('{folder}/*')", "file system operations are disabled"),
    ("SELECT * FROM read_csv('http://127.0.0.1:9/x.csv')", "Error"),
    ("SELECT getenv('HOME')", "does not exist"),
    ("INSTALL httpfs", "not a single SELECT"),
    ("LOAD httpfs", "not a single SELECT"),
    ("PRAGMA database_list", "not a single SELECT"),
    ("SET memory_limit = '1TB'", "not a single SELECT"),
    ("CALL enable_logging()", "not a single SELECT"),
    ("SELECT * FROM range(1000000000) ORDER BY 1 DESC", "limit"),
    ("SELECT repeat('x', 2000000000)", "memory limit"),
    ("SELECT range(1000000000)", "limit"),
    ("SELECT string_agg(repeat('x', 1000), '') FROM range(100000000)", "limit"),
    ("SELECT list(i) FROM range(1000000000) t(i)", "limit"),
    ("SELECT lpad('x', 1000000000, 'y')", "limit"),
    ("WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r", "time limit"),
    ("SELECT count(*) FROM range(100000000000) a, range(100000) b", "time limit"),
    ("SELECT sleep_ms(60000)", "time limit"),
    ("SELECT " + "(" * 4000 + "1" + ")" * 4000, "depth"),
    ("SELECT '" + "x" * 20_000 + "'", "longer than"),
    ("SELECT error('boom\n\x00\u202e')", "boom"),
    ("SELECT 1 FROM author WHERE name = '\x00'", "columns"),
    ("", "no query"),
]
HOSTILE_SQLITE = [
    "DELETE FROM author",
    "ATTACH '{folder}/other.db' AS o",
    "PRAGMA query_only = 0",
    "PRAGMA table_info(author)",
    "SELECT * FROM pragma_table_info('author')",
    "VACUUM INTO '{folder}/copy.db'",
    "CREATE TEMP TABLE z AS SELECT 1",
    "BEGIN",
    "SELECT 1; DELETE FROM author",
    "SELECT load_extension('{folder}/x.so')",
    "SELECT readfile('{folder}/secret.csv')",
    "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT count(*) FROM r",
    "SELECT length(zeroblob(2000000000))",
    "SELECT group_concat(hex(zeroblob(1000000))) FROM author, author b, author c, author d, author e",
    "SELECT 1 FROM author WHERE name = '\x00'",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("databases")
    (made / "dump.sql").write_text(DUMP)
    (made / "secret.csv").write_text("a,b\n1,2\n")
    (made / "lite").mkdir()
    with sqlite3.connect(made / "lite" / "lite.sqlite") as database:
        database.executescript(DUMP.replace("public.", ""))
    database.close()
    return made


def judged(folder, answers, golds, database="dump", seconds=5.0, finish="stop"):
    """The verdicts on several answers to one problem with these golds."""
    tests = json.dumps({"database": database, "golds": golds})
    problems = records.PROBLEMS.table([problem("p", tests=tests)])
    rows = [completion(f"c{place:03}", text=answer, finish_reason=finish) for place, answer in enumerate(answers)]
    both = Tables(problems, records.COMPLETIONS.table(rows))
    verifier = Sql(databases=str(folder), seconds=seconds)
    made = tables.conform(verifier.verify(both, {}), records.VERDICTS)
    assert made.num_rows == verifier.owes(both) == len(answers)
    assert made["completion_id"].to_pylist() == [row["completion_id"] for row in rows]
    return made.to_pylist()


def outcomes(folder, answers, golds, **more):
    return [row["outcome"] for row in judged(folder, answers, golds, **more)]


@pytest.mark.parametrize("database", ["dump", "lite"])
def test_a_query_is_right_if_it_returns_what_the_gold_returns(folder, database):
    right = [
        "SELECT aid, count(*) FROM paper GROUP BY aid",
        "SELECT count(pid) AS n, aid AS who FROM paper GROUP BY 2",
        "select a.aid, (select count(*) from paper p where p.aid = a.aid) from author a order by 1 desc",
        "SELECT aid, 1.0 * count(*) FROM paper GROUP BY aid",
    ]
    wrong = [
        "SELECT aid FROM paper GROUP BY aid",
        "SELECT aid, count(*), 1 FROM paper GROUP BY aid",
        "SELECT aid, count(*) FROM paper GROUP BY aid UNION ALL SELECT 1, 1",
        "SELECT aid, 1 + count(*) FROM paper GROUP BY aid",
        "SELECT nothing FROM paper",
        "SELECT aid, 'x' FROM author",
        "Paris",
    ]
    golds = ["SELECT aid, count(*) FROM paper GROUP BY aid"]
    assert outcomes(folder, right, golds, database=database) == ["correct"] * len(right)
    assert outcomes(folder, wrong, golds, database=database) == ["wrong"] * len(wrong)


def test_rows_count_as_often_as_they_come(folder):
    golds = ["SELECT aid FROM paper"]
    assert outcomes(folder, ["SELECT aid FROM paper ORDER BY 1", "SELECT DISTINCT aid FROM paper"], golds) == ["correct", "wrong"]


def test_order_counts_only_where_the_gold_orders_and_ties_are_free(folder):
    up, down = "SELECT name FROM author ORDER BY aid", "SELECT name FROM author ORDER BY aid DESC"
    assert outcomes(folder, [up, down], ["SELECT name FROM author"]) == ["correct", "correct"]
    assert outcomes(folder, [up, down], [up]) == ["correct", "wrong"]
    golds = ["SELECT pid, cited FROM paper ORDER BY cited DESC"]
    tied = ["SELECT pid, cited FROM paper ORDER BY cited DESC, pid", "SELECT pid, cited FROM paper ORDER BY cited DESC, pid DESC"]
    assert outcomes(folder, [*tied, "SELECT pid, cited FROM paper ORDER BY cited"], golds) == ["correct", "correct", "wrong"]


def test_any_gold_counts_and_one_that_does_not_run_is_passed_over(folder):
    golds = ["SELECT to_char(born, 'YYYY') FROM author", "SELECT name FROM author", "SELECT aid FROM author"]
    assert outcomes(folder, ["SELECT aid FROM author", "SELECT name FROM author", "SELECT 1"], golds) == ["correct", "correct", "wrong"]


@pytest.mark.parametrize(
    ("golds", "database", "reason"),
    [
        (["SELECT nothing FROM author"], "dump", "unreadable gold"),
        (["DELETE FROM author"], "dump", "unreadable gold: not a single SELECT"),
        (["SELECT sleep_ms(60000)"], "dump", "unreadable gold: time limit"),
        (["SELECT * FROM range(1000000)"], "dump", "unreadable gold: more than"),
        (["SELECT 1"], "absent", "no database 'absent'"),
        ([], "dump", "unreadable problem"),
        ("SELECT 1", "dump", "unreadable problem"),
    ],
)
def test_what_the_gold_is_to_blame_for_is_undecided(folder, golds, database, reason):
    first, second = judged(folder, ["SELECT 1", "SELECT 2"], golds, database=database, seconds=0.5)
    assert first["outcome"] == second["outcome"] == "undecided"
    assert first["score"] is None and first["reason"].startswith(reason) and second["reason"] == first["reason"]


@pytest.mark.parametrize("tests", [None, "", "{", "[1]", '{"database": 1, "golds": ["SELECT 1"]}', '{"database": "dump", "golds": [1]}'])
def test_a_problem_that_cannot_be_read_is_undecided(folder, tests):
    problems = records.PROBLEMS.table([problem("p", tests=tests)])
    both = Tables(problems, records.COMPLETIONS.table([completion("c", text="SELECT 1")]))
    assert Sql(databases=str(folder)).verify(both, {}).to_pylist()[0]["outcome"] == "undecided"


def test_what_was_not_sampled_is_undecided_and_what_was_cut_off_is_wrong(folder):
    golds = ["SELECT name FROM author"]
    assert outcomes(folder, ["SELECT name FROM author"], golds, finish="error") == ["undecided"]
    cut = judged(folder, ["SELECT name FROM author", "```sql\nSELECT name FROM author\n``` and th"], golds, finish="length")
    assert [row["outcome"] for row in cut] == ["wrong", "correct"]
    assert cut[0]["reason"] == "cut off by the length limit"


def test_hostile_queries_end_in_time_change_nothing_and_leave_the_child_serving(folder):
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    queries = [query.replace("{folder}", str(folder)) for query, _ in HOSTILE]
    good = "SELECT aid, name, born FROM author"
    answers = [f"```sql\n{text}\n```" for query in queries for text in (query, good)]
    verdicts = judged(folder, answers, [good], seconds=0.5)
    for (query, reason), verdict in zip(HOSTILE, verdicts[::2], strict=True):
        assert verdict["outcome"] == "wrong", (query, verdict)
        assert reason in verdict["reason"], (query, verdict)
    assert {verdict["outcome"] for verdict in verdicts[1::2]} == {"correct"}
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_hostile_queries_on_sqlite_end_in_time_and_change_nothing(folder):
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    queries = [query.replace("{folder}", str(folder)) for query in HOSTILE_SQLITE]
    good = "SELECT aid, name, born FROM author"
    answers = [f"```sql\n{text}\n```" for query in queries for text in (query, good)]
    verdicts = judged(folder, answers, [good], database="lite", seconds=0.5)
    assert [query for query, verdict in zip(queries, verdicts[::2], strict=True) if verdict["outcome"] != "wrong"] == []
    assert {verdict["outcome"] for verdict in verdicts[1::2]} == {"correct"}
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


def test_reasons_are_one_printable_line(folder):
    found = judged(folder, ["SELECT error('" + "a\nb\x1b[31m" * 100 + "')"], ["SELECT 1"])[0]
    assert found["outcome"] == "wrong" and found["reason"].isprintable() and len(found["reason"]) <= 200


def test_a_folder_without_databases_and_a_broken_database_are_errors(tmp_path):
    with pytest.raises(BadProblems, match="has no database"):
        judged(tmp_path, ["SELECT 1"], ["SELECT 1"])
    (tmp_path / "dump.sql").write_text("CREATE TABLE t (a nosuchtype);")
    with pytest.raises(BadProblems, match=r"cannot be opened as a database: .*nosuchtype"):
        judged(tmp_path, ["SELECT 1"], ["SELECT 1"])
    (tmp_path / "lite.sqlite").write_text("no database at all, but long enough to be looked at as one")
    with pytest.raises(BadProblems, match="not a database"):
        judged(tmp_path, ["SELECT 1"], ["SELECT 1"], database="lite")
