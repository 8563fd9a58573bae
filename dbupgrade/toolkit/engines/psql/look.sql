-- Where the history is, and whether the connection itself names the schema.
WITH place AS (
  SELECT current_schema() AS schema,
    (SELECT source = 'client' FROM pg_catalog.pg_settings WHERE name = 'search_path') AS bound
)
SELECT schema, quote_ident(schema) AS quoted, bound,
  to_regclass(quote_ident(schema) || '.dbupgrade_migrations') IS NOT NULL AS here,
  NOT bound AND to_regclass(quote_ident(schema) || '.dbupgrade_migrations') IS NULL
    AND to_regclass('dbupgrade_migrations') IS NOT NULL AS elsewhere
FROM place
