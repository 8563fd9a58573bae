-- A file that runs in a transaction is entered with complete = '', which no COMMIT lets pass but the last one. A file
-- without a transaction is entered with NULL.
CREATE TABLE IF NOT EXISTS SCHEMA.dbupgrade_migrations (
  name text COLLATE "C" PRIMARY KEY,
  version text NOT NULL,
  checksum text NOT NULL,
  baseline boolean NOT NULL DEFAULT false,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  complete text COLLATE "C" CONSTRAINT a_file_must_not_end_its_own_transaction
    REFERENCES SCHEMA.dbupgrade_migrations (name) DEFERRABLE INITIALLY DEFERRED
)
