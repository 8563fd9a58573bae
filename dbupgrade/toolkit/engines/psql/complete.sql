-- Completes the file in the history.
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
\set ON_ERROR_STOP off
COMMIT;
\if :ERROR
\warn :dbupgrade_mark Failed :SQLSTATE
\quit
\endif
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
