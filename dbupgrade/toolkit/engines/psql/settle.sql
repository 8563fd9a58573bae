-- psql's own settings as in a new session, whatever a file has set.
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
