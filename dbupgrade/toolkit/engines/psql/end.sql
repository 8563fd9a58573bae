-- Completes a file in the history, for psql. Before, it sets back what the file may have changed in psql and in the session.
\set ON_ERROR_STOP on
\set AUTOCOMMIT on
\set ON_ERROR_ROLLBACK off
\set SINGLELINE off
\set SINGLESTEP off
\set VERBOSITY terse
\set SHOW_CONTEXT never
\set ECHO errors
\set QUIET on
\set FETCH_COUNT 0
\o /dev/null
SELECT pg_catalog.pg_backend_pid() <> :dbupgrade_session AS dbupgrade_problem \gset
\if :dbupgrade_problem
\warn :dbupgrade_mark Reconnected
\quit
\endif
RESET SESSION AUTHORIZATION;
RESET ROLE;
RESET ALL;
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
WITH done AS (
  UPDATE :"dbupgrade_schema".dbupgrade_migrations SET complete = name, finished_at = clock_timestamp()
  WHERE name = :'dbupgrade_name' AND complete = '' RETURNING 1
)
SELECT count(*) = 0 AS dbupgrade_problem FROM done \gset
\if :dbupgrade_problem
\warn :dbupgrade_mark TransactionEnded
\quit
\endif
COMMIT;
\else
SELECT now() <> statement_timestamp() AS dbupgrade_problem \gset
\if :dbupgrade_problem
\warn :dbupgrade_mark TransactionOpen
\quit
\endif
UPDATE :"dbupgrade_schema".dbupgrade_migrations SET complete = name, finished_at = clock_timestamp()
WHERE name = :'dbupgrade_name';
\endif
\warn :dbupgrade_mark Done
