"""One table: which locks statements take, and whether they write all rows again or read them.

The unit test compares it with what is told from the text, the proof with what a real PostgreSQL does.
"""

from __future__ import annotations

from dataclasses import dataclass

from dbupgrade.toolkit.lint.learning import learn
from dbupgrade.toolkit.lint.world import World
from dbupgrade.toolkit.sql import parser

T = "create table t (id int primary key, a int, note text); insert into t select n, n, 'x' from generate_series(1, 50) n;"
P = "create table p (id int primary key, b int unique); insert into p select n, n from generate_series(1, 50) n;"
KEY = T + P + "alter table t add constraint f foreign key (a) references p (b);"
TRIGGER = (
    T
    + "create function f() returns trigger language plpgsql as 'begin return new; end'; create trigger tr before insert on t for each row execute function f();"
)
PARTS = "create table parts (a int not null) partition by range (a); create table one partition of parts for values from (0) to (100); insert into one select generate_series(1, 50);"
LOOSE = "create table parts (a int not null) partition by range (a); create table one (a int not null); insert into one select generate_series(1, 50);"
VIEWS = f"{T} create view v as select a from t; create materialized view m as select a from t; create unique index on m (a);"
E, S, SRE, SUE, X = "ACCESS EXCLUSIVE", "SHARE", "SHARE ROW EXCLUSIVE", "SHARE UPDATE EXCLUSIVE", "EXCLUSIVE"
RE, RS, AS = "ROW EXCLUSIVE", "ROW SHARE", "ACCESS SHARE"


@dataclass(frozen=True)
class Locking:
    """A statement, and its locks as they are printed."""

    sql: str
    locks: tuple[str, ...]
    setup: str = T
    """An earlier file."""
    since: int = 13
    """The first version of PostgreSQL that has it."""
    alone: bool = False
    """Whether it runs outside of a transaction."""
    weaker: int = 0
    """Up to this version of PostgreSQL, some of the locks are weaker."""
    reads_more: bool = False
    """Whether it reads tables that the text does not name."""

    def known(self) -> World:
        """What is known after the earlier file."""
        world = World()
        for statement in parser.statements(self.setup):
            learn(world, statement.tree)
        world.begin(1)
        return world


LOCKING = [
    # Rows
    Locking("select * from t;", (f"{AS} on public.t",)),
    Locking("select * from t for update;", (f"{RS} on public.t",)),
    Locking("with t as (select 1 as id) select * from t, p for key share of p;", (f"{RS} on public.p",), T + P),
    Locking("insert into t values (99);", (f"{RE} on public.t",)),
    Locking("insert into t select id + 99, b from p;", (f"{RE} on public.t", f"{AS} on public.p"), T + P),
    Locking("update t set a = 2 where id = 1;", (f"{RE} on public.t",)),
    Locking("update t set a = 2;", (f"{RE} on public.t (scans)",)),
    Locking("delete from t where true;", (f"{RE} on public.t (scans)",)),
    Locking("delete from t using p where t.id = p.id;", (f"{RE} on public.t", f"{AS} on public.p"), T + P),
    Locking("with gone as (delete from t where id < 9 returning id) insert into p select id + 100 from gone;", (f"{RE} on public.p", f"{RE} on public.t"), T + P),
    Locking("merge into t using p on t.id = p.id when matched then update set a = 0;", (f"{RE} on public.t", f"{AS} on public.p"), T + P, 15),
    Locking("explain analyze update t set a = 1 where id = 1;", (f"{RE} on public.t",)),
    Locking("create table n as select * from t;", (f"{AS} on public.t",)),
    Locking("create view n as select * from t;", (f"{AS} on public.t",)),
    Locking("create or replace view v as select a from t where a > 1;", (f"{E} on public.v", f"{AS} on public.t"), VIEWS),
    # Tables
    Locking("create table n (id int references p, b int references p (b));", (f"{SRE} on public.p",), P),
    Locking("create table n (id int, foreign key (id) references p);", (f"{SRE} on public.p",), P),
    Locking("create table n (like t including all);", (f"{AS} on public.t",)),
    Locking("create table n () inherits (t);", (f"{SUE} on public.t",)),
    Locking("create table two partition of parts for values from (100) to (200);", (f"{E} on public.parts",), PARTS),
    Locking("drop table t;", (f"{E} on public.t",)),
    Locking("drop table t;", (f"{E} on public.t", f"{E} on public.p"), KEY),
    Locking("drop table p cascade;", (f"{E} on public.p", f"{E} on public.t"), KEY),
    Locking("drop schema s cascade;", (f"{E} on s.x",), "create schema s; create table s.x (a int);"),
    Locking("drop view v;", (f"{E} on public.v",), VIEWS),
    Locking("drop materialized view m;", (f"{E} on public.m",), VIEWS),
    Locking("truncate t;", (f"{E} on public.t",)),
    Locking("truncate p cascade;", (f"{E} on public.p", f"{E} on public.t"), KEY),
    Locking("lock table t in exclusive mode;", (f"{X} on public.t",)),
    Locking("lock table t;", (f"{E} on public.t",)),
    # Columns
    Locking("alter table t add column b int;", (f"{E} on public.t",)),
    Locking("alter table t add column b int not null default 0;", (f"{E} on public.t",)),
    Locking("alter table t add column b timestamptz not null default now();", (f"{E} on public.t",)),
    Locking("alter table t add column b float default random();", (f"{E} on public.t (rewrites)",)),
    Locking("alter table t add column b bigserial;", (f"{E} on public.t (rewrites)",)),
    Locking("alter table t add column b int generated by default as identity;", (f"{E} on public.t (rewrites)",)),
    Locking("alter table t add column b int generated always as (a * 2) stored;", (f"{E} on public.t (rewrites)",)),
    Locking("alter table t add column b d;", (f"{E} on public.t (rewrites)",), T + "create domain d as int check (value > 0);"),
    Locking("alter table t add column b d;", (f"{E} on public.t",), T + "create domain d as int;"),
    Locking("alter table t add column b d default 1;", (f"{E} on public.t (rewrites)",), T + "create domain d as int; alter domain d set not null;"),
    Locking("alter domain d add constraint c check (value > 0) not valid;", (), "create domain d as int; create table t (a d); insert into t values (1);"),
    Locking("alter table t add column b int default 1 check (b > 0);", (f"{E} on public.t (scans)",)),
    Locking("alter table t add column b int unique;", (f"{E} on public.t (scans)",)),
    Locking("alter table t add column p_id int references p;", (f"{E} on public.t", f"{SRE} on public.p"), T + P),
    Locking("alter table t add column p_id int default 1 references p;", (f"{E} on public.t (scans)", f"{SRE} on public.p (scans)"), T + P),
    Locking("alter table t drop column note;", (f"{E} on public.t",)),
    Locking("alter table t drop column a;", (f"{E} on public.t", f"{E} on public.p"), KEY),
    Locking("alter table p drop column b cascade;", (f"{E} on public.p", f"{E} on public.t"), KEY),
    Locking("alter table p drop column c;", (f"{E} on public.p",), KEY + "alter table p add column c int;"),
    Locking("alter table t alter a type bigint;", (f"{E} on public.t (rewrites)",)),
    Locking("alter table p alter b type bigint;", (f"{E} on public.p (rewrites)", f"{E} on public.t (scans)"), KEY),
    Locking("alter table t alter a type int;", (f"{E} on public.t",)),
    Locking("alter table t alter note type varchar(9);", (f"{E} on public.t (rewrites)",)),
    Locking("alter table t alter w type varchar(20), alter w set default '';", (f"{E} on public.t",), T + "alter table t add column w varchar(10);"),
    Locking("alter table t alter a set not null;", (f"{E} on public.t (scans)",)),
    Locking("alter table t alter id set not null;", (f"{E} on public.t",)),
    Locking("alter table t alter a set not null;", (f"{E} on public.t",), T + "alter table t add constraint c check (a is not null);"),
    Locking("alter table t alter id drop not null;", (f"{E} on public.t",), "create table t (id int not null);"),
    Locking("alter table t alter a set default 3;", (f"{E} on public.t",)),
    Locking("alter table t alter a set statistics 500;", (f"{SUE} on public.t",)),
    Locking("alter table t alter a set (n_distinct = 5);", (f"{SUE} on public.t",)),
    Locking("alter table t alter note set storage external;", (f"{E} on public.t",)),
    Locking("alter table t alter b drop expression;", (f"{E} on public.t",), "create table t (a int, b int generated always as (a * 2) stored);"),
    Locking("alter table t alter b set expression as (a * 3);", (f"{E} on public.t (rewrites)",), "create table t (a int, b int generated always as (a * 2) stored); insert into t values (1);", 17),
    Locking("alter table t alter id add generated always as identity;", (f"{E} on public.t",)),
    # Constraints
    Locking("alter table t add constraint c check (a > 0);", (f"{E} on public.t (scans)",)),
    Locking("alter table t add constraint c check (a > 0) not valid;", (f"{E} on public.t",)),
    Locking("alter table t validate constraint c;", (f"{SUE} on public.t (scans)",), T + "alter table t add constraint c check (a > 0) not valid;"),
    Locking("alter table t validate constraint c;", (f"{SUE} on public.t",), T + "alter table t add constraint c check (a > 0);"),
    Locking("alter table t add constraint g foreign key (id) references p;", (f"{SRE} on public.t (scans)", f"{SRE} on public.p (scans)"), T + P),
    Locking("alter table t add foreign key (id) references p not valid;", (f"{SRE} on public.t", f"{SRE} on public.p"), T + P),
    Locking("alter table t validate constraint t_a_fkey;", (f"{SUE} on public.t (scans)", f"{RS} on public.p (scans)"), T + P + "alter table t add foreign key (a) references p not valid;"),
    Locking("alter table t drop constraint f;", (f"{E} on public.t", f"{E} on public.p"), KEY),
    Locking("alter table n drop constraint n_id_fkey;", (f"{E} on public.n", f"{E} on public.p"), P + "create table n (id int references p);"),
    Locking("alter table t drop constraint t_pkey;", (f"{E} on public.t",)),
    Locking("alter table t add unique (a);", (f"{E} on public.t (scans)",)),
    Locking("alter table t add constraint u unique using index i;", (f"{E} on public.t",), T + "create unique index i on t (a);"),
    Locking("alter table t add primary key (a);", (f"{E} on public.t (scans)",), "create table t (a int); insert into t values (1);"),
    Locking("alter table t add primary key using index i;", (f"{E} on public.t (scans)",), "create table t (a int); insert into t values (1); create unique index i on t (a);"),
    Locking("alter table t add primary key using index i;", (f"{E} on public.t",), "create table t (a int not null); insert into t values (1); create unique index i on t (a);"),
    Locking("alter table t add constraint x exclude (a with =);", (f"{E} on public.t (scans)",)),
    Locking("alter table t add constraint nn not null a not valid;", (f"{E} on public.t",), since=18),
    Locking("alter table t alter constraint f deferrable;", (f"{E} on public.t",), KEY),
    Locking("alter domain d add constraint c check (value > 0);", (f"{S} on public.t (scans)",), "create domain d as int; create table t (a d); insert into t values (1);"),
    # Indexes and storage
    Locking("create index i on t (a);", (f"{S} on public.t (scans)",)),
    Locking("create unique index i on t (a);", (f"{S} on public.t (scans)",)),
    Locking("create index i on only parts (a);", (f"{S} on public.parts",), PARTS),
    Locking("create index concurrently i on t (a);", (f"{SUE} on public.t (scans)",), alone=True),
    Locking("drop index i;", (f"{E} on public.t",), T + "create index i on t (a);"),
    Locking("drop index concurrently i;", (f"{SUE} on public.t",), T + "create index i on t (a);", alone=True),
    Locking("reindex table t;", (f"{S} on public.t (scans)",)),
    Locking("reindex index i;", (f"{S} on public.t (scans)",), T + "create index i on t (a);"),
    Locking("reindex table concurrently t;", (f"{SUE} on public.t (scans)",), alone=True),
    Locking("alter index i rename to j;", (), T + "create index i on t (a);"),
    Locking("alter table t rename constraint c to d;", (f"{E} on public.t",), T + "alter table t add constraint c unique (a);"),
    Locking("alter table t set (fillfactor = 80);", (f"{SUE} on public.t",)),
    Locking("alter table t reset (autovacuum_enabled);", (f"{SUE} on public.t",)),
    Locking("alter table t set (user_catalog_table = true);", (f"{E} on public.t",)),
    Locking("alter view v set (security_barrier);", (f"{E} on public.v",), VIEWS),
    Locking("alter table t set unlogged;", (f"{E} on public.t (rewrites)",)),
    Locking("alter table t cluster on t_pkey;", (f"{SUE} on public.t",)),
    Locking("alter table t replica identity full;", (f"{E} on public.t",)),
    Locking("alter table t enable row level security;", (f"{E} on public.t",)),
    Locking("alter table t owner to current_user;", (f"{E} on public.t",)),
    Locking("vacuum t;", (f"{SUE} on public.t",), alone=True),
    Locking("analyze t;", (f"{SUE} on public.t",)),
    Locking("vacuum full t;", (f"{E} on public.t (rewrites)",), alone=True),
    Locking("cluster t using t_pkey;", (f"{E} on public.t (rewrites)",)),
    Locking("refresh materialized view m;", (f"{E} on public.m (rewrites)",), VIEWS, reads_more=True),
    Locking("refresh materialized view concurrently m;", (f"{X} on public.m (scans)",), VIEWS, reads_more=True),
    # What belongs to a table
    Locking("alter table t rename to u;", (f"{E} on public.t",)),
    Locking("alter table t rename a to b;", (f"{E} on public.t",)),
    Locking("alter view v rename to w;", (f"{E} on public.v",), VIEWS),
    Locking("alter table t set schema s;", (f"{E} on public.t",), T + "create schema s;"),
    Locking("create trigger two before update on t for each row execute function f();", (f"{SRE} on public.t",), TRIGGER),
    Locking("alter table t disable trigger tr;", (f"{SRE} on public.t",), TRIGGER),
    Locking("alter trigger tr on t rename to ts;", (f"{E} on public.t",), TRIGGER),
    Locking("drop trigger tr on t;", (f"{E} on public.t",), TRIGGER),
    Locking("create rule r as on insert to t do nothing;", (f"{E} on public.t",)),
    Locking("create policy pol on t using (a > 1);", (f"{E} on public.t",)),
    Locking("alter policy pol on t using (a > 2);", (f"{E} on public.t",), T + "create policy pol on t using (a > 1);"),
    Locking("comment on table t is 'x';", (f"{SUE} on public.t",)),
    Locking("comment on column t.a is 'x';", (f"{SUE} on public.t",)),
    Locking("create statistics st on a, id from t;", (f"{SUE} on public.t",)),
    # Partitions
    Locking("alter table parts attach partition one for values from (0) to (100);", (f"{SUE} on public.parts", f"{E} on public.one (scans)"), LOOSE),
    Locking("alter table parts attach partition one for values from (0) to (100);", (f"{SUE} on public.parts", f"{E} on public.one"), LOOSE + "alter table one add constraint c check (a >= 0 and a < 100);"),
    Locking("alter table parts detach partition one;", (f"{E} on public.parts", f"{E} on public.one"), PARTS, weaker=13),
    Locking("alter table parts detach partition one concurrently;", (f"{SUE} on public.parts", f"{SUE} on public.one"), PARTS, 14, alone=True),
    Locking("alter table n inherit t;", (f"{E} on public.n", f"{SUE} on public.t"), T + "create table n (id int not null, a int, note text);"),
    Locking("alter table n no inherit t;", (f"{E} on public.n", f"{AS} on public.t"), T + "create table n () inherits (t);"),
]  # fmt: skip
