-- Enters a file into the history, for psql; what a file could set in psql is as in a new session.
\set ON_ERROR_STOP on
\set VERBOSITY terse
\set SHOW_CONTEXT never
\set ECHO errors
SET client_min_messages = warning;
SELECT pg_catalog.pg_backend_pid() AS dbupgrade_session \gset
SELECT NOT EXISTS (
  SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_database d ON d.oid = l.database
  WHERE l.locktype = 'advisory' AND l.granted AND l.pid = :dbupgrade_holder AND d.datname = pg_catalog.current_database()
    AND (l.classid::bigint << 32 | l.objid::bigint) = :dbupgrade_lock
) AS dbupgrade_problem \gset
\if :dbupgrade_problem
\warn :dbupgrade_mark LockLost
\quit
\endif
\if :dbupgrade_transaction
BEGIN;
INSERT INTO :"dbupgrade_schema".dbupgrade_migrations (name, version, checksum, complete)
VALUES (:'dbupgrade_name', :'dbupgrade_version', :'dbupgrade_checksum', '');
\else
INSERT INTO :"dbupgrade_schema".dbupgrade_migrations (name, version, checksum)
VALUES (:'dbupgrade_name', :'dbupgrade_version', :'dbupgrade_checksum');
\endif
RESET client_min_messages;
\warn :dbupgrade_mark :dbupgrade_session
