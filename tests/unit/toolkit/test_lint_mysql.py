"""The lint for MySQL and MariaDB."""

from __future__ import annotations

import pytest

from dbupgrade.toolkit.lint.mysql import findings
from dbupgrade.toolkit.lint.settings import LintSettings
from dbupgrade.toolkit.sql.concurrently import File

T = "CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(50), b INT NOT NULL, k ENUM('x', 'y'));|"
"""A table, in a file of its own."""


def look(text: str) -> list[str]:
    files = [File(f"{number}_x.sql", each) for number, each in enumerate(text.split("|"))]
    return [
        f"{each.line} {each.level} {each.rule.name}: {each.what}"
        for each in findings(files, {files[-1].name}, LintSettings())
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DROP TABLE a, s.b;", ["1 error ban-drop-table: drops table a", "1 error ban-drop-table: drops table s.b"]),
        ("SELECT 1;\nALTER TABLE t DROP COLUMN a, DROP b;", ["2 error ban-drop-column: drops column t.a", "2 error ban-drop-column: drops column t.b"]),
        ("DROP DATABASE d;", ["1 error ban-drop-database: drops database d"]),
        ("DROP VIEW v;", ["1 error drop-object: drops view v"]),
        ("TRUNCATE TABLE t;", ["1 error truncate: empties table t"]),
        ("DELETE FROM t;", ["1 error delete-without-where: deletes all rows of t"]),
        ("DELETE FROM t WHERE 1=1;", ["1 error delete-without-where: deletes all rows of t"]),
        ("UPDATE t SET a = 1;", ["1 warning update-without-where: changes all rows of t"]),
        ("ALTER TABLE t RENAME TO u;", ["1 error renaming-table: renames table t to u"]),
        ("RENAME TABLE `Old` TO new;", ["1 error renaming-table: renames table Old"]),
        ("ALTER TABLE t RENAME COLUMN a TO b;", ["1 error renaming-column: renames column t.a to b"]),
        ("ALTER TABLE t CHANGE a b INT;", ["1 error mysql-table-copy: changes the type of t.b, unless it already has that type", "1 error renaming-column: renames column t.a to b"]),
        ("ALTER TABLE t MODIFY a BIGINT;", ["1 error mysql-table-copy: changes the type of t.a, unless it already has that type"]),
        ("ALTER TABLE t ADD COLUMN a INT NOT NULL;", ["1 error adding-required-field: adds NOT NULL column t.a without a default"]),
        ("ALTER TABLE t ADD COLUMN a INT AS (b * 2) STORED;", ["1 error mysql-table-copy: adds column t.a, which is computed for each row"]),
        ("ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (a) REFERENCES p (id);", ["1 error mysql-table-copy: adds a foreign key to t"]),
        ("ALTER TABLE t ADD CONSTRAINT c CHECK (a > 1);", ["1 error mysql-table-copy: adds a CHECK to t"]),
        ("ALTER TABLE t ADD FULLTEXT INDEX f (a);", ["1 error mysql-blocks-writes: builds a full-text or spatial index on t"]),
        ("CREATE FULLTEXT INDEX f ON t (a);", ["1 error mysql-blocks-writes: builds a full-text or spatial index on t"]),
        ("ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4;", ["1 error mysql-table-copy: copies t"]),
        ("ALTER TABLE t PARTITION BY HASH(a) PARTITIONS 4;", ["1 error mysql-table-copy: copies t"]),
        ("ALTER TABLE t ENGINE=MyISAM;", ["1 error mysql-table-copy: changes the engine of t"]),
        ("ALTER TABLE t DROP PRIMARY KEY;", ["1 error mysql-table-copy: drops the PRIMARY KEY of t and adds none"]),
        ("ALTER TABLE t DROP FOREIGN KEY f;", ["1 warning drop-constraint: drops constraint f of t"]),
        ("LOCK TABLES t WRITE;", ["1 warning lock-table: locks t"]),
        ("CREATE TABLE IF NOT EXISTS t (a INT);\nDROP TABLE t;", ["2 error ban-drop-table: drops table t"]),
        ("ALTER TABLE t DROP PARTITION p0;", ["1 error ban-drop-table: drops or empties partitions of t"]),
        # Comments that are executed, and those that are not.
        ("/*!40101 SET NAMES utf8 */;\n/*!50001 DROP TABLE t */;\n/*M!100100 TRUNCATE TABLE u*/;", ["2 error ban-drop-table: drops table t", "3 error truncate: empties table u"]),
        ("/* DROP TABLE t; */ # DROP TABLE t;\n-- DROP TABLE t;\nINSERT INTO t VALUES ('a;''\\'', \";\", 1);\nDROP TABLE `a;b`;", ["4 error ban-drop-table: drops table a;b"]),
        # What the folder says of a column.
        (f"{T}ALTER TABLE t MODIFY a VARCHAR(60), MODIFY b INT NOT NULL, MODIFY k ENUM('x', 'y', 'z');", []),
        (f"{T}ALTER TABLE t MODIFY a VARCHAR(64);", ["1 error mysql-table-copy: changes the type of t.a, unless it already has that type"]),
        (f"{T}ALTER TABLE t MODIFY k ENUM('y', 'x');", ["1 error mysql-table-copy: changes the type of t.k, unless it already has that type"]),
        (f"{T}ALTER TABLE t MODIFY a VARCHAR(50) CHARACTER SET latin1;", ["1 error mysql-table-copy: changes the type of t.a, unless it already has that type"]),
        (f"{T}ALTER TABLE t MODIFY a VARCHAR(50) NOT NULL;", ["1 error adding-not-nullable-field: sets t.a NOT NULL"]),
        (f"{T}ALTER TABLE t CHANGE a n VARCHAR(60);", ["1 error renaming-column: renames column t.a to n"]),
        (f"{T}USE other; ALTER TABLE t MODIFY a VARCHAR(60);", ["1 error mysql-table-copy: changes the type of t.a, unless it already has that type"]),
        (f"{T.replace('TABLE', 'TABLE IF NOT EXISTS')}ALTER TABLE t MODIFY a VARCHAR(60);", ["1 error mysql-table-copy: changes the type of t.a, unless it already has that type"]),
        # What cannot be read is said.
        ("ALTER TABLE t FROBNICATE;", ["1 info unread-statement: ALTER TABLE …: cannot be checked in advance"]),
        ("DELIMITER //\nCREATE PROCEDURE p() BEGIN DELETE FROM t; END //", ["1 info unread-statement: DELIMITER // …: cannot be checked in advance"]),
        ("CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW BEGIN DELETE FROM u; END;", ["1 info unread-statement: CREATE TRIGGER …: cannot be checked in advance"]),
        ("SELECT 'open;", ["1 warning unread-statement: cannot be parsed: nothing in it was checked"]),
        # Suppressions.
        ("-- dbupgrade:lint-ignore ban-drop-table: unused\nDROP TABLE t;", []),
        ("-- atlas:nolint truncate\nSELECT 1;", ["1 warning unused-suppression: suppresses truncate, which is not found here"]),
        # INSTANT, or INPLACE beside writers.
        ("ALTER TABLE t ADD COLUMN a INT;", []),
        ("ALTER TABLE t ADD COLUMN a INT NOT NULL DEFAULT 0 AFTER b, ALGORITHM=INSTANT;", []),
        ("ALTER TABLE t ADD INDEX i (a), ADD UNIQUE KEY u (b);", []),
        ("CREATE INDEX i ON t (a); CREATE UNIQUE INDEX j ON t (b) ALGORITHM=INPLACE LOCK=NONE; DROP INDEX i ON t;", []),
        ("ALTER TABLE t ALTER COLUMN a SET DEFAULT 3;", []),
        ("ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (b);", []),
        ("ALTER TABLE t ENGINE=InnoDB; OPTIMIZE TABLE t;", []),
        ("CREATE TABLE n (a INT) ENGINE=InnoDB; ALTER TABLE n MODIFY a BIGINT; DELETE FROM n; DROP TABLE n;", []),
        ("DELETE FROM t WHERE a = 1; UPDATE t SET a = 2 WHERE b = 3; INSERT INTO t VALUES ('DROP TABLE t;');", []),
        ("-- DROP TABLE t;\n/* TRUNCATE t; */ SELECT 1;", []),
    ],
)  # fmt: skip
def test_what_is_found(text: str, expected: list[str]) -> None:
    assert sorted(look(text)) == sorted(expected)
