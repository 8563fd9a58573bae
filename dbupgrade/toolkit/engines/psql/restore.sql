-- Sets back what the file may have changed in the session.
SELECT pg_catalog.pg_backend_pid() <> :dbupgrade_session AS dbupgrade_problem \gset
\if :dbupgrade_problem
\warn :dbupgrade_mark Reconnected
\quit
\endif
RESET SESSION AUTHORIZATION;
RESET ROLE;
RESET ALL;
