-- Enters the file into the history.
SET client_min_messages = warning;
SELECT pg_catalog.pg_backend_pid() AS dbupgrade_session \gset
\if :dbupgrade_transaction
BEGIN;
INSERT INTO :"dbupgrade_schema".dbupgrade_migrations (name, version, checksum, complete)
VALUES (:'dbupgrade_name', :'dbupgrade_version', :'dbupgrade_checksum', '');
\else
INSERT INTO :"dbupgrade_schema".dbupgrade_migrations (name, version, checksum)
VALUES (:'dbupgrade_name', :'dbupgrade_version', :'dbupgrade_checksum');
\endif
RESET client_min_messages;
\warn :dbupgrade_mark :dbupgrade_session
