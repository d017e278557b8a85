import pytest

from lib import db
from lib.errors import BadProblems
from lib.verifiers.postgres_dump import schema, statements

DUMP = r"""--
-- PostgreSQL database dump
--
\restrict abc
SET statement_timeout = 0;
SELECT pg_catalog.set_config('search_path', '', false);
CREATE SCHEMA public;
CREATE TYPE public.mood AS ENUM ('sad', 'happy');
CREATE FUNCTION public.f() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN; RETURN 1; END; $$;
CREATE TABLE public.guest (
    id integer DEFAULT nextval('public.guest_id_seq'::regclass) NOT NULL,
    name character varying(20) DEFAULT 'a,b'::character varying NOT NULL,
    "order" public.mood, -- a comment, here
    price numeric(10,2) DEFAULT 0 NOT NULL,
    seen timestamp without time zone DEFAULT now(),
    is_back boolean DEFAULT false,
    address inet,
    paid money,
    notes jsonb,
    point text,
    CONSTRAINT positive CHECK ((price > (0)::numeric))
);
ALTER TABLE public.guest OWNER TO me;
CREATE SEQUENCE public.guest_id_seq AS integer START WITH 1;
COPY public.guest (id, name, "order", price, seen, is_back) FROM stdin;
1	O'Neil; the \\first	sad	1.50	2020-01-01 10:00:00	t
2	tab\there\x41\101	\N	2	\N	f
\.

COPY public.empty (a) FROM stdin;
\.
CREATE UNLOGGED TABLE public.stay (id bigserial PRIMARY KEY, guest integer REFERENCES public.guest(id));
INSERT INTO public.guest (id, name) VALUES (3, 'in public.guest; -- no comment');
INSERT INTO public.guest (id) VALUES (4);
ALTER TABLE ONLY public.guest ADD CONSTRAINT guest_pkey PRIMARY KEY (id);
CREATE INDEX i ON public.guest USING btree (id);
COMMENT ON TABLE public.guest IS 'x;y';
CREATE MATERIALIZED VIEW public.names AS SELECT guest.name FROM public.guest;
GRANT ALL ON TABLE public.guest TO me;
"""


def loaded(dump):
    connection = db.connect((), "")
    for statement in statements(dump):
        connection.execute(statement)
    return connection


def test_rows_of_insert_and_copy_come_back_as_they_were():
    found = loaded(DUMP).execute('SELECT id, name, "order", price, seen::varchar, is_back FROM guest ORDER BY id').fetchall()
    assert [(row[0], row[1], row[2], float(row[3]), row[4], row[5]) for row in found] == [
        (1, "O'Neil; the \\first", "sad", 1.5, "2020-01-01 10:00:00", True),
        (2, "tab\thereAA", None, 2.0, None, False),
        (3, "in public.guest; -- no comment", None, 0.0, None, False),
        (4, "a,b", None, 0.0, None, False),
    ]


def test_views_and_tables_with_keys_load():
    connection = loaded(DUMP)
    assert connection.execute("SELECT count(*) FROM names").fetchall() == [(4,)]
    assert connection.execute("SELECT count(*) FROM stay").fetchall() == [(0,)]


def test_the_schema_is_the_dumps_own_words_without_the_prefix():
    found = schema(DUMP)
    assert found.startswith("CREATE TABLE guest (\n    id integer DEFAULT nextval(")
    assert "CONSTRAINT positive CHECK" in found and "CREATE UNLOGGED TABLE stay" in found
    assert "INSERT" not in found and "O'Neil" not in found


def test_a_statement_of_another_kind_is_refused_by_its_words():
    with pytest.raises(BadProblems, match="UPDATE guest SET"):
        statements("CREATE TABLE guest (id int); UPDATE guest SET id = 1;")


def test_the_public_dumps_load_whole(data):
    for dump in sorted((data / "defog_sql").glob("*.sql")):
        text = dump.read_text()
        connection = loaded(text)
        plain = db.connect((), "")
        plain.execute(text.replace("public.", ""))
        names = [name for (name,) in plain.execute("SHOW TABLES").fetchall()]
        assert len(names) == text.count("CREATE TABLE") == schema(text).count("CREATE TABLE")
        for name in names:
            query = f'SELECT * FROM "{name}"'
            assert connection.execute(query).fetchall() == plain.execute(query).fetchall() != []
