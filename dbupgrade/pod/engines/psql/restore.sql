\set ON_ERROR_STOP on
\set AUTOCOMMIT on
\set ON_ERROR_ROLLBACK off
\set SINGLELINE off
\set VERBOSITY terse
\set SHOW_CONTEXT never
\set ECHO errors
\set QUIET on
\set FETCH_COUNT 0
\o /dev/null
\set dbupgrade_problem `test :'LAST_ERROR_SQLSTATE' = 00000 && ! grep -qE '^psql:.*: error: ' '@ERRORS@' && echo false || echo true`
\if :dbupgrade_problem
\echo dbupgrade: problem ErrorHidden @NAME@
\quit
\endif
SELECT pg_catalog.pg_backend_pid() <> :dbupgrade_session AS dbupgrade_problem \gset
\if :dbupgrade_problem
\echo dbupgrade: problem Reconnected @NAME@
\quit
\endif
RESET SESSION AUTHORIZATION;
RESET ROLE;
RESET ALL;
