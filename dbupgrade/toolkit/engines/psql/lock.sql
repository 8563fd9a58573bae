-- Ends psql where the connection that holds the lock of the run is gone.
SELECT NOT EXISTS (
  SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_database d ON d.oid = l.database
  WHERE l.locktype = 'advisory' AND l.granted AND l.pid = :dbupgrade_holder AND d.datname = pg_catalog.current_database()
    AND (l.classid::bigint << 32 | l.objid::bigint) = :dbupgrade_lock
) AS dbupgrade_problem \gset
\if :dbupgrade_problem
\warn :dbupgrade_mark LockLost
\quit
\endif
