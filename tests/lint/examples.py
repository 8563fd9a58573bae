"""One table: what each rule must find, with its proof on a real PostgreSQL, and what it must not."""

from __future__ import annotations

from dataclasses import dataclass

T = "create table t (id int primary key, a int, note text); insert into t select n, n, 'x' from generate_series(1, 50) n;"
P = "create table p (id int primary key); insert into p select generate_series(1, 50);"
EXCLUSIVE, SHARE, SHARE_ROW = "AccessExclusiveLock", "ShareLock", "ShareRowExclusiveLock"


@dataclass(frozen=True)
class Locks:
    """The transaction holds this lock on a relation afterwards."""

    relation: str
    mode: str


@dataclass(frozen=True)
class Rewrites:
    """The relation has another file afterwards."""

    relation: str


@dataclass(frozen=True)
class Scans:
    """All rows of the table were read."""

    relation: str


@dataclass(frozen=True)
class Loses:
    """A query that works before gives less afterwards, or fails."""

    query: str


@dataclass(frozen=True)
class Fails:
    """PostgreSQL refuses it."""

    state: str


@dataclass(frozen=True)
class Ends:
    """The transaction in which it runs is over afterwards (or, for `open`, one that it began is not)."""

    is_open: bool = False


Proof = Locks | Rewrites | Scans | Loses | Fails | Ends


@dataclass(frozen=True)
class Found:
    """SQL in which a rule must find something."""

    rule: str
    sql: str
    what: str
    """The finding's words."""
    proofs: tuple[Proof, ...]
    setup: str = T
    """What the database has; the lint does not see it."""
    since: int = 13
    """The first version of PostgreSQL that has it."""
    alone: bool = False
    """Whether it runs outside of a transaction."""
    knows: str = ""
    """An earlier file that the lint sees."""
    also: tuple[str, ...] = ()
    """Other rules that find something in it, rightly."""


FOUND = [
    Found("ban-drop-table", "drop table t;", "drops table t", (Locks("t", EXCLUSIVE), Loses("select id from t"))),
    Found("ban-drop-table", "drop table if exists t; create table t (a int);", "drops table t", (Loses("select id from t"),)),
    Found("ban-drop-column", "alter table t drop column note;", "drops column t.note", (Locks("t", EXCLUSIVE), Loses("select note from t"))),
    Found("ban-drop-column", "alter type c drop attribute b;", "drops attribute c.b", (Loses("select ((1, 2)::c).b"),), "create type c as (a int, b int);"),
    Found("ban-drop-schema", "drop schema s cascade;", "drops schema s", (Loses("select a from s.t"),), "create schema s; create table s.t (a int); insert into s.t values (1);"),
    Found("ban-drop-database", "drop database other_example;", "drops database other_example", (Fails("3D000"),), "", alone=True),
    Found("drop-owned", "drop owned by current_user;", "drops everything that the current role owns", (Loses("select id from t"),), f"create role owner_example; grant create on schema public to owner_example; set role owner_example; {T}"),
    Found("drop-sequence", "drop sequence s;", "drops sequence s", (Loses("select nextval('s')"),), "create sequence s;"),
    Found("drop-extension", "drop extension plpgsql cascade;", "drops extension plpgsql", (Loses("select 1 from pg_extension where extname = 'plpgsql'"),), ""),
    Found("drop-object", "drop view v;", "drops view v", (Locks("v", EXCLUSIVE), Loses("select a from v")), f"{T} create view v as select a from t;"),
    Found("drop-object", "drop type mood;", "drops type mood", (Loses("select 'sad'::mood"),), "create type mood as enum ('sad', 'ok');"),
    Found("drop-object", "drop function f(int);", "drops function f", (Loses("select f(1)"),), "create function f(int) returns int language sql as 'select 1';"),
    Found("drop-object", "drop materialized view m;", "drops materialized view m", (Locks("m", EXCLUSIVE), Loses("select a from m")), f"{T} create materialized view m as select a from t;"),
    Found("drop-object", "drop domain d cascade;", "drops domain d", (Loses("select 1::d"),), "create domain d as int;"),
    Found("drop-object", "drop role role_example;", "drops role role_example", (Loses("select 1 from pg_roles where rolname = 'role_example'"),), "create role role_example;"),
    Found("drop-object", "drop collation c;", "drops collation c", (Loses("select 'a' collate c"),), 'create collation c from "C";'),
    Found("drop-object", "drop cast (t as u);", "drops cast t AS u", (Loses("select row(1)::t::u"),), "create type t as (a int); create type u as (a int); create function f(t) returns u language sql as 'select row($1.a)::u'; create cast (t as u) with function f(t);"),
    Found("drop-object", "drop publication p;", "drops publication p", (Loses("select 1 from pg_publication"),), "create publication p;"),
    Found("drop-constraint", "alter domain d drop constraint c;", "drops constraint c of domain d", (Loses("select 1 from pg_constraint where conname = 'c'"),), "create domain d as int constraint c check (value > 0);"),
    Found("ban-drop-not-null", "alter domain d drop not null;", "lets columns of domain d be NULL", (Loses("select 1 from pg_type where typname = 'd' and typnotnull"),), "create domain d as int not null;"),
    Found("adding-field-with-default", "alter table t add column b d;", "adds column t.b of domain d, whose constraints are checked for each row", (Locks("t", EXCLUSIVE), Rewrites("t")), f"{T} create domain d as int check (value > 0);", knows="create domain d as int check (value > 0);"),
    Found("drop-trigger", "drop trigger tr on t;", "drops trigger tr of t", (Locks("t", EXCLUSIVE),), f"{T} create function f() returns trigger language plpgsql as 'begin return new; end'; create trigger tr before insert on t for each row execute function f();"),
    Found("drop-constraint", "alter table t drop constraint c;", "drops constraint c of t", (Locks("t", EXCLUSIVE), Loses("select 1 from pg_constraint where conname = 'c'")), f"{T} alter table t add constraint c check (a > 0);"),
    Found("truncate", "truncate t;", "empties table t", (Locks("t", EXCLUSIVE), Rewrites("t"), Loses("select id from t"))),
    Found("truncate", "select 1; do $$ begin if true then truncate t; end if; end $$;", "empties table t", (Locks("t", EXCLUSIVE),)),
    Found("ban-truncate-cascade", "truncate t cascade;", "empties table t and all tables that refer to it", (Locks("child", EXCLUSIVE), Loses("select t_id from child")), f"{T} create table child (t_id int references t); insert into child values (1);", also=("truncate",)),
    Found("delete-without-where", "delete from t;", "deletes all rows of t", (Loses("select id from t"),)),
    Found("delete-without-where", "delete from t where true;", "deletes all rows of t", (Loses("select id from t"),)),
    Found("delete-without-where", "delete from t where 1 = 1 and not 'a' = 'b';", "deletes all rows of t", (Loses("select id from t"),)),
    Found("delete-without-where", "with gone as (delete from public.t returning *) select count(*) from gone;", "deletes all rows of public.t", (Loses("select id from t"),)),
    Found("update-without-where", "update t set a = 1, note = 'y';", "changes a, note in all rows of t", (Loses("select 1 from t where note = 'x'"),)),
    Found("update-without-where", "update t set a = 1 where id = 1 or true;", "changes a in all rows of t", (Loses("select 1 from t where a > 1"),)),
    Found("merge-delete", "merge into t using p on t.id = p.id when matched then delete;", "deletes all rows of t that match", (Loses("select id from t"),), T + P, 15),
    Found("merge-delete", "merge into t using p on t.id = p.id when not matched by source then delete;", "deletes all rows of t that do not match", (Loses("select id from t"),), f"{T} create table p (id int);", 17),
    Found("changing-column-type", "alter table t alter column a type bigint;", "changes the type of t.a to bigint", (Locks("t", EXCLUSIVE), Rewrites("t"))),
    Found("changing-column-type", "alter table t alter column note type varchar(10);", "changes the type of t.note to varchar(10)", (Locks("t", EXCLUSIVE), Rewrites("t"))),
    Found("adding-not-nullable-field", "alter table t alter a set not null;", "sets t.a NOT NULL", (Locks("t", EXCLUSIVE), Scans("t"))),
    Found("adding-not-nullable-field", "alter table t add constraint c check (a is not null) not valid; alter table t alter a set not null;", "sets t.a NOT NULL", (Scans("t"),)),
    Found("adding-required-field", "alter table t add column b bigint not null;", "adds NOT NULL column t.b without a default", (Fails("23502"),)),
    Found("adding-required-field", "alter table t add column b bigint not null default null;", "adds NOT NULL column t.b without a default", (Fails("23502"),)),
    Found("adding-field-with-default", "alter table t add column b float default random();", "adds column t.b with a default that random() computes for each row", (Locks("t", EXCLUSIVE), Rewrites("t"))),
    Found("adding-field-with-default", "alter table t add column b timestamptz not null default clock_timestamp();", "adds column t.b with a default that clock_timestamp() computes for each row", (Rewrites("t"),)),
    Found("adding-field-with-default", "alter table t add column b uuid default gen_random_uuid();", "adds column t.b with a default that gen_random_uuid() computes for each row", (Rewrites("t"),)),
    Found("adding-field-with-default", "alter table t add column b int default own();", "adds column t.b with a default that own() computes for each row", (Rewrites("t"),), f"{T} create function own() returns int language plpgsql as 'begin return 1; end';"),
    Found("adding-serial-field", "alter table t add column b bigserial;", "adds bigserial column t.b", (Locks("t", EXCLUSIVE), Rewrites("t"))),
    Found("adding-serial-field", "alter table t add column b int generated always as identity;", "adds identity column t.b", (Rewrites("t"),)),
    Found("adding-stored-generated-field", "alter table t add column b int generated always as (a * 2) stored;", "adds stored generated column t.b", (Locks("t", EXCLUSIVE), Rewrites("t"))),
    Found("adding-stored-generated-field", "alter table t alter b set expression as (a * 3);", "changes the expression of generated column t.b", (Locks("t", EXCLUSIVE), Rewrites("t")), "create table t (a int, b int generated always as (a * 2) stored); insert into t values (1);", 17),
    Found("adding-json-field", "alter table t add column b json;", "adds column t.b of type json", (Loses("select distinct * from t"),)),
    Found("ban-drop-not-null", "alter table t alter a drop not null;", "makes t.a nullable", (Locks("t", EXCLUSIVE),), f"{T} alter table t alter a set not null;"),
    Found("constraint-missing-not-valid", "alter table t add constraint c check (a > 0);", "adds a CHECK c to t", (Locks("t", EXCLUSIVE), Scans("t"))),
    Found("constraint-missing-not-valid", "alter table t add column b int default 1 check (b > 0);", "adds column t.b with a CHECK", (Locks("t", EXCLUSIVE), Scans("t"))),
    Found("constraint-missing-not-valid", "alter domain d add constraint c check (value > 0);", "adds a constraint to domain d, for which all tables that use it are scanned", (Locks("t", SHARE), Scans("t")), "create domain d as int; create table t (a d); insert into t values (1);"),
    Found("adding-foreign-key-constraint", "alter table t add constraint f foreign key (id) references p;", "adds a foreign key f to t, which refers to p", (Locks("t", SHARE_ROW), Locks("p", SHARE_ROW), Scans("t")), T + P),
    Found("adding-foreign-key-constraint", "alter table t add column p_id int references p;", "adds column t.p_id with a foreign key to p", (Locks("t", EXCLUSIVE), Locks("p", SHARE_ROW)), T + P),
    Found("disallowed-unique-constraint", "alter table t add constraint u unique (a);", "adds UNIQUE u to t", (Locks("t", EXCLUSIVE), Scans("t"))),
    Found("disallowed-unique-constraint", "alter table t add column b int unique;", "adds column t.b with UNIQUE", (Locks("t", EXCLUSIVE),)),
    Found("adding-primary-key-constraint", "alter table t add primary key (a);", "adds a PRIMARY KEY to t", (Locks("t", EXCLUSIVE), Scans("t")), "create table t (a int); insert into t select generate_series(1, 9);"),
    Found("adding-exclusion-constraint", "alter table t add constraint x exclude (a with =);", "adds an EXCLUDE constraint x to t", (Locks("t", EXCLUSIVE), Scans("t"))),
    Found("validate-in-same-transaction", "alter table t add constraint c check (a > 0) not valid; alter table t validate constraint c;", "validates constraint c of t in the transaction that added it", (Locks("t", EXCLUSIVE), Scans("t"))),
    Found("require-concurrent-index-creation", "create index i on t (a);", "builds index i on t", (Locks("t", SHARE), Scans("t"))),
    Found("require-concurrent-index-creation", "do $$ begin execute 'create index i on t (a)'; end $$;", "builds index i on t", (Locks("t", SHARE),)),
    Found("require-concurrent-index-deletion", "drop index i;", "drops index i", (Locks("t", EXCLUSIVE),), f"{T} create index i on t (a);"),
    Found("require-concurrent-reindex", "reindex table t;", "rebuilds all indexes of t", (Locks("t", SHARE),)),
    Found("require-concurrent-reindex", "reindex index i;", "rebuilds index i", (Locks("t", SHARE), Locks("i", EXCLUSIVE)), f"{T} create index i on t (a);"),
    Found("attach-partition-without-check", "alter table parts attach partition one for values from (0) to (100);", "attaches one to parts", (Locks("one", EXCLUSIVE), Scans("one")), "create table parts (a int not null) partition by range (a); create table one (a int not null); insert into one select generate_series(1, 50);"),
    Found("creating-partition", "create table one partition of parts for values from (0) to (100);", "creates one, a partition of parts", (Locks("parts", EXCLUSIVE),), "create table parts (a int not null) partition by range (a);"),
    Found("require-concurrent-partition-detach", "alter table parts detach partition one;", "detaches one from parts", (Locks("parts", EXCLUSIVE),), "create table parts (a int not null) partition by range (a); create table one partition of parts for values from (0) to (100);"),
    Found("renaming-table", "alter table t rename to u;", "renames table t to u", (Locks("t", EXCLUSIVE), Loses("select id from t"))),
    Found("renaming-column", "alter table t rename column a to b;", "renames column t.a to b", (Locks("t", EXCLUSIVE), Loses("select a from t"))),
    Found("renaming-object", "alter schema s rename to r;", "renames schema s to r", (Loses("select a from s.t"),), "create schema s; create table s.t (a int); insert into s.t values (1);"),
    Found("renaming-object", "alter type mood rename to feeling;", "renames type mood to feeling", (Loses("select 'sad'::mood"),), "create type mood as enum ('sad', 'ok');"),
    Found("renaming-object", "alter type mood rename value 'sad' to 'low';", "renames a value of type mood", (Loses("select 'sad'::mood"),), "create type mood as enum ('sad', 'ok');"),
    Found("renaming-object", "alter view v rename to w;", "renames view v to w", (Locks("v", EXCLUSIVE), Loses("select a from v")), f"{T} create view v as select a from t;"),
    Found("renaming-object", "alter function f() rename to g;", "renames function f to g", (Loses("select f()"),), "create function f() returns int language sql as 'select 1';"),
    Found("renaming-index", "alter table t rename constraint c to d;", "renames constraint c to d", (Locks("t", EXCLUSIVE),), f"{T} alter table t add constraint c unique (a);"),
    Found("renaming-index", "alter domain d rename constraint c to e;", "renames constraint c of d to e", (Loses("select 1 from pg_constraint where conname = 'c'"),), "create domain d as int constraint c check (value > 0);"),
    Found("set-schema", "alter extension plpgsql set schema s;", "moves extension plpgsql to schema s", (Fails("0A000"),), "create schema s;"),
    Found("renaming-index", "alter index i rename to j;", "renames index i to j", (Loses("select 'i'::regclass"),), f"{T} create index i on t (a);"),
    Found("set-schema", "alter table t set schema s;", "moves table t to schema s", (Locks("t", EXCLUSIVE), Loses("select id from t")), f"{T} create schema s;"),
    Found("set-schema", "alter function f() set schema s;", "moves function f to schema s", (Loses("select f()"),), "create schema s; create function f() returns int language sql as 'select 1';"),
    Found("vacuum-full", "vacuum full t;", "rewrites t with VACUUM FULL", (Rewrites("t"),), alone=True),
    Found("cluster", "cluster t using t_pkey;", "sorts t with CLUSTER", (Locks("t", EXCLUSIVE), Rewrites("t"))),
    Found("rewriting-table", "alter table t set unlogged;", "makes t UNLOGGED", (Locks("t", EXCLUSIVE), Rewrites("t"))),
    Found("rewriting-table", "alter table t set logged;", "makes t LOGGED", (Locks("t", EXCLUSIVE), Rewrites("t")), T.replace("create table", "create unlogged table")),
    Found("require-concurrent-refresh", "refresh materialized view m;", "refreshes materialized view m", (Locks("m", EXCLUSIVE), Rewrites("m")), f"{T} create materialized view m as select a from t;"),
    Found("creating-trigger", "create trigger tr before insert on t for each row execute function f();", "creates trigger tr on t", (Locks("t", SHARE_ROW),), f"{T} create function f() returns trigger language plpgsql as 'begin return new; end';"),
    Found("lock-table", "lock table t;", "locks t", (Locks("t", EXCLUSIVE),)),
    Found("enum-value-in-same-transaction", "alter type mood add value 'great'; insert into m values ('great');", "uses an enum value that this transaction has added", (Fails("55P04"),), "create type mood as enum ('sad', 'ok'); create table m (a mood);"),
    Found("several-locks", "alter table t add column b int; alter table p add column b int;", "locks public.p while it holds a lock on public.t", (Locks("t", EXCLUSIVE), Locks("p", EXCLUSIVE)), T + P),
    Found("lock-held-while-writing", "alter table t add column b int; delete from t where a = 1;", "writes rows to t while it holds a lock on public.t", (Locks("t", EXCLUSIVE), Loses("select 1 from t where a = 1"))),
    Found("changing-column-type", "alter table t alter a type text using note;", "changes the type of t.a to text", (Locks("t", EXCLUSIVE), Rewrites("t"))),
    Found("lock-held-while-writing", "alter table t add column b int; update t set b = 1 where id > 3;", "writes rows to t while it holds a lock on public.t", (Locks("t", EXCLUSIVE), Loses("select 1 from t where id > 3 and to_jsonb(t)->>'b' is null"))),
    Found("transaction-left-open", "-- atlas:txmode none\n\nbegin; insert into t values (99);", "begins a transaction and does not end it", (Ends(is_open=True),), alone=True),
    Found("transaction-nesting", "insert into t values (99); commit; insert into t values (100);", "contains BEGIN or COMMIT in a file that runs in a transaction", (Ends(),)),
    Found("syntax-error", "create tabl t (a int);", "cannot be read by PostgreSQL's parser", (Fails("42601"),)),
    Found("unread-statement", "do $$ declare q text := 'delete from ' || 't'; begin execute q; end $$;", "runs a statement that cannot be checked in advance", (Loses("select id from t"),)),
]  # fmt: skip

NOT_FOUND = [
    # What is nobody's yet.
    "create table n (a int); create index i on n (a); drop index i; alter table n alter a type bigint; alter table n rename to u; drop table u;",
    "create table n (a int); create trigger tr before insert on n for each row execute function f(); truncate n; delete from n; update n set a = 1;",
    "create temp table x as select 1 a; delete from x; drop table x;",
    "select 1 as a into w; alter table w drop column a;",
    "create materialized view m as select 1 a; create unique index on m (a); refresh materialized view m;",
    "create schema s; create table s.t (a int); drop table s.t; drop schema s;",
    "create schema s; create table if not exists s.t (a int); create index i on s.t (a);",
    "create schema s create table inner_one (a int); create index i on s.inner_one (a);",
    "set search_path = app; create table n (a int); create index i on app.n (a);",
    "select set_config('search_path', 'app', false); create table n (a int); alter table app.n drop column a;",
    "create table public.n (a int); create index i on n (a);",
    "alter table t add column b int; alter table t rename column b to c; alter table t drop column c;",
    "create type mood as enum ('a'); drop type mood; create view v as select 1; drop view v;",
    "create type mood as enum ('sad'); alter type mood add value 'ok'; select 'ok'::mood;",
    # What the transaction makes again.
    "alter table t drop constraint if exists c; alter table t add constraint c check (a > 0) not valid;",
    "drop view v; create view v as select 1 a;",
    "drop function if exists f(int); create function f(int) returns int language sql as 'select 2';",
    "drop materialized view m; create materialized view m as select 1 a;",
    "create or replace view v as select 1 a; create or replace function f() returns int language sql as 'select 1';",
    # Rows that are named.
    "delete from t where id = 1; update t set a = 2 where id = 3; delete from t where 1 = 2;",
    "delete from t using p where t.id = p.id;",
    "merge into t using p on t.id = p.id when matched and t.a > 3 then delete when matched then update set a = 0;",
    "insert into t values (1); insert into t select * from p; copy t to stdout;",
    # Columns that need no look at the rows.
    "alter table t add column b int; alter table t add column c bigint not null default 0;",
    "alter table t add column b timestamptz not null default now(), add column c text default 'x' || 'y', add column d date default current_date;",
    "alter table t add column b jsonb; alter table t alter column a set default 3; alter table t alter column a drop default;",
    "alter table t alter a set statistics 500; alter table t set (fillfactor = 80);",
    # Constraints, in steps.
    "alter table t add constraint c check (a > 1) not valid;",
    "alter table t validate constraint c;",
    "alter table t add constraint f foreign key (a) references p not valid;",
    "alter table t add constraint u unique using index u;",
    "create index concurrently i on t (a);",
    "drop index concurrently i;",
    "reindex (concurrently) table t;",
    "refresh materialized view concurrently m;",
    "create index i on only parts (a);",
    "alter table parts detach partition one concurrently;",
    "vacuum (analyze) t;", "vacuum (full false) t;", "analyze t;", "lock table t in row exclusive mode;",
    "create table n (id int references t, a int);",
    "create table n (a json);",
    "alter type mood add value 'ok';",
    "grant select on t to public; comment on table t is 'drop table t;';",
    # Nothing in comments, strings and the bodies of functions.
    "-- drop table t;\n/* truncate t; */ select 'delete from t;', 'drop table t';",
    "do $$ begin raise notice 'drop table t'; perform 1; end $$;",
    "create function f() returns void language sql as 'delete from t';",
    "create function f() returns int language sql begin atomic select 1; select 2; end;",
    "-- atlas:txmode none\n\nbegin; insert into t values (1); commit;",
    "",
]  # fmt: skip
