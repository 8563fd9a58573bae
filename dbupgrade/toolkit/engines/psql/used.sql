-- Whether there are tables or views that belong neither to an extension nor to the provider of the server.
-- $1: only those of the first schema of the search path count.
WITH providers (owner) AS (
  SELECT oid FROM pg_catalog.pg_roles
  WHERE rolname <> current_user AND (
    rolname IN ('rdsadmin', 'cloudsqladmin', 'cloudsqlagent', 'alloydbadmin', 'azuresu', 'azure_superuser', 'cloud_admin', 'pgbouncer')
    OR rolname LIKE 'supabase\_%admin')
)
SELECT EXISTS (
  SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\_%'
    AND (NOT $1::boolean OR n.nspname = current_schema())
    AND NOT (n.nspname = current_schema() AND c.relname = 'dbupgrade_migrations')
    AND c.relowner NOT IN (SELECT owner FROM providers)
    -- By its name only where it is somebody else's: anybody may call a schema of theirs so.
    AND NOT (pg_catalog.pg_get_userbyid(n.nspowner) <> current_user AND (
      n.nspname IN ('aws_commons', 'aws_lambda', 'aws_ml', 'aws_s3', 'rds_tools', 'rdsadmin', 'cron', 'neon', '_heroku', 'heroku_ext')
      OR n.nspname LIKE 'google\_%' OR n.nspname LIKE 'azure%'))
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
) AS used
