-- The first schema or table that belongs neither to an extension nor to the provider of the server. A table of somebody else
-- counts in a schema of the provider too: on some servers, that is what `public` is.
-- $1: the only schema to look at, or nothing; $2 and $3: schema and name of the history.
WITH providers (owner) AS (
  SELECT oid FROM pg_catalog.pg_roles
  WHERE rolname <> current_user AND (
    rolname IN ('rdsadmin', 'cloudsqladmin', 'cloudsqlagent', 'alloydbadmin', 'azuresu', 'azure_superuser', 'cloud_admin', 'pgbouncer')
    OR rolname LIKE 'supabase\_%admin')
), extensions (class, object) AS (
  SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
), tables (schema, name) AS (
  SELECT c.relnamespace, c.relname FROM pg_catalog.pg_class c
  WHERE c.relkind IN ('r', 'p')
    AND c.relowner NOT IN (SELECT owner FROM providers)
    AND ('pg_catalog.pg_class'::regclass, c.oid) NOT IN (SELECT class, object FROM extensions)
), schemas (oid, name, provided) AS (
  SELECT n.oid, n.nspname, n.nspowner IN (SELECT owner FROM providers) FROM pg_catalog.pg_namespace n
  WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
    AND ('pg_catalog.pg_namespace'::regclass, n.oid) NOT IN (SELECT class, object FROM extensions)
    -- By its name only where it is somebody else's: anybody may call a schema of theirs so.
    AND NOT (pg_catalog.pg_get_userbyid(n.nspowner) <> current_user AND (
      n.nspname IN ('aws_commons', 'aws_lambda', 'aws_ml', 'aws_s3', 'rds_tools', 'rdsadmin', 'cron', 'neon', '_heroku', 'heroku_ext')
      OR n.nspname LIKE 'google\_%' OR n.nspname LIKE 'azure%'))
)
SELECT s.name, coalesce(t.name, '')
FROM schemas s LEFT JOIN tables t ON t.schema = s.oid AND (s.name, t.name) <> ($2::name, $3::name)
WHERE $1::name IN ('', s.name)
  AND (t.name IS NOT NULL
    -- Without a table, a schema is somebody's unless it was made for an extension.
    OR $1::name = '' AND NOT s.provided AND s.name NOT IN ('public', $2::name) AND s.oid NOT IN (SELECT extnamespace FROM pg_catalog.pg_extension))
ORDER BY 1, 2
LIMIT 1
