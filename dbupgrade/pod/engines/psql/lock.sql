SET lock_timeout = '10s';
SELECT pg_catalog.pg_advisory_lock(7233473077142774116);
RESET lock_timeout;
