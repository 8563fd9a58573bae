# The steps for one file, for psql. With AUTOCOMMIT off, what a file does after a ROLLBACK or \connect of its own waits for a
# COMMIT that never comes.
restore() { sed "s|@NAME@|$name|; s|@ERRORS@|$work/errors|" "$work/restore"; }
each() {
  cat <<END
SELECT NOT EXISTS (SELECT FROM :dbupgrade_schema.dbupgrade_migrations WHERE name = '$name') AS dbupgrade_wanted \\gset
\\if :dbupgrade_wanted
\\i engines/psql/lock.sql
\\echo dbupgrade: begin $name
END
  if [ "$transaction" = yes ]; then
    cat <<END
BEGIN;
INSERT INTO :dbupgrade_schema.dbupgrade_migrations (name, version, checksum, complete) VALUES ('$name', '$version', '$checksum', '');
\\set AUTOCOMMIT off
\\i '$MIGRATIONS/$name'
END
    restore
    cat <<END
WITH done AS (UPDATE :dbupgrade_schema.dbupgrade_migrations SET complete = name, finished_at = clock_timestamp()
  WHERE name = '$name' AND complete = '' RETURNING 1) SELECT count(*) = 0 AS dbupgrade_problem FROM done \\gset
\\if :dbupgrade_problem
\\echo dbupgrade: problem TransactionEnded $name
\\quit
\\endif
COMMIT;
END
  else
    cat <<END
INSERT INTO :dbupgrade_schema.dbupgrade_migrations (name, version, checksum) VALUES ('$name', '$version', '$checksum');
\\i '$MIGRATIONS/$name'
END
    restore
    cat <<END
SELECT now() <> statement_timestamp() AS dbupgrade_problem \\gset
\\if :dbupgrade_problem
\\echo dbupgrade: problem TransactionOpen $name
\\quit
\\endif
UPDATE :dbupgrade_schema.dbupgrade_migrations SET complete = name, finished_at = clock_timestamp() WHERE name = '$name';
END
  fi
  cat <<END
DISCARD TEMP;
DEALLOCATE ALL;
\\echo dbupgrade: end $name
\\endif
END
}
