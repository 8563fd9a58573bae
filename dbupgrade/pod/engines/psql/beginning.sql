\set ON_ERROR_STOP on
\set VERBOSITY terse
\set SHOW_CONTEXT never
\set ECHO errors
\echo dbupgrade: connected
SET client_min_messages = warning;
\i engines/psql/lock.sql
\echo dbupgrade: locked
SELECT pg_catalog.pg_backend_pid() AS dbupgrade_session \gset
SELECT coalesce(quote_ident(current_schema()), '') AS dbupgrade_schema,
  current_schema() IS NULL AS dbupgrade_problem \gset
\if :dbupgrade_problem
\echo dbupgrade: problem NoSchema
\quit
\endif
SELECT to_regclass(:'dbupgrade_schema' || '.dbupgrade_migrations') IS NULL AS dbupgrade_empty \gset
\if :dbupgrade_empty
\else
SELECT NOT EXISTS (SELECT FROM :dbupgrade_schema.dbupgrade_migrations) AS dbupgrade_empty \gset
\endif
SELECT NOT :dbupgrade_bound AND to_regclass(:'dbupgrade_schema' || '.dbupgrade_migrations') IS NULL
  AND to_regclass('dbupgrade_migrations') IS NOT NULL AS dbupgrade_problem \gset
\if :dbupgrade_problem
\echo dbupgrade: problem HistoryElsewhere
\quit
\endif
\if :dbupgrade_empty
\i engines/psql/used.sql

\if :dbupgrade_with_baseline
\set dbupgrade_with_baseline :dbupgrade_used
\endif
\if :dbupgrade_with_baseline
SELECT NOT EXISTS (SELECT FROM (:dbupgrade_files) AS f (name, version, checksum) WHERE version = :'dbupgrade_baseline')
  AS dbupgrade_problem \gset
\if :dbupgrade_problem
\echo dbupgrade: problem BaselineNotFound
\quit
\endif
\elif :dbupgrade_used
\echo dbupgrade: problem NotClean
\quit
\endif
BEGIN;
-- A file that runs in a transaction is entered with complete = '', which no COMMIT lets pass but the last one. A file
-- without a transaction is entered with NULL.
CREATE TABLE IF NOT EXISTS :dbupgrade_schema.dbupgrade_migrations (
  name text COLLATE "C" PRIMARY KEY,
  version text NOT NULL,
  checksum text NOT NULL,
  baseline boolean NOT NULL DEFAULT false,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  complete text COLLATE "C" CONSTRAINT a_file_must_not_end_its_own_transaction
    REFERENCES :dbupgrade_schema.dbupgrade_migrations (name) DEFERRABLE INITIALLY DEFERRED
);
\if :dbupgrade_with_baseline
INSERT INTO :dbupgrade_schema.dbupgrade_migrations (name, version, checksum, baseline, finished_at, complete)
SELECT name, version, checksum, true, clock_timestamp(), name
FROM (:dbupgrade_files) AS f (name, version, checksum)
WHERE name COLLATE "C" <= (
  SELECT max(name COLLATE "C") FROM (:dbupgrade_files) AS f (name, version, checksum) WHERE version = :'dbupgrade_baseline');
\endif
COMMIT;
\endif
WITH f (name, version, checksum) AS (:dbupgrade_files), h AS (SELECT * FROM :dbupgrade_schema.dbupgrade_migrations),
problem AS (
  SELECT coalesce(
    (SELECT 'PartlyApplied ' || min(name) FROM h WHERE complete IS DISTINCT FROM name),
    (SELECT 'FileChanged ' || min(h.name) FROM h JOIN f ON f.name = h.name AND f.checksum <> h.checksum),
    (SELECT 'FileMissing ' || min(h.name) FROM h WHERE h.name NOT IN (SELECT name FROM f)
      AND h.name < (SELECT max(name COLLATE "C") FROM f)),
    (SELECT 'FileLate ' || min(f.name COLLATE "C") FROM f WHERE f.name NOT IN (SELECT name FROM h)
      AND f.name COLLATE "C" < (SELECT max(name) FROM h))
  ) AS text
)
SELECT coalesce(text, '') AS dbupgrade_text, text IS NOT NULL AS dbupgrade_problem,
  (SELECT count(*) FROM f WHERE f.name NOT IN (SELECT name FROM h)) AS dbupgrade_pending,
  coalesce((SELECT version FROM h ORDER BY name DESC LIMIT 1), '') AS dbupgrade_current
FROM problem \gset
\echo dbupgrade: plan :dbupgrade_pending :dbupgrade_current
\if :dbupgrade_problem
\echo dbupgrade: problem :dbupgrade_text
\quit
\endif
SET client_min_messages = notice;
