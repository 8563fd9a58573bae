# ruff: noqa: S608 - the names in the statements are our own
"""The script around psql that applies the *.sql of a folder.

One session of psql does everything, so that its advisory lock covers the run and ends with it. The script needs sh, the
usual tools (busybox is enough) and psql; all input comes in variables. Guarantees: docs/engines.md.
"""

from dbupgrade.pod.connection import libpq
from dbupgrade.pod.container import UNREACHABLE_EXIT_CODE
from dbupgrade.pod.report import MARK

HISTORY = "dbupgrade_migrations"
LOCK_TIMEOUT = "10s"
TRANSACTION_CONSTRAINT = "a_file_must_not_end_its_own_transaction"
_LOCK = int.from_bytes(b"dbupgrad")  # the key of the advisory lock; one for a whole database
_ERRORS_SHOWN = 12000  # bytes of psql's last words in the report

# What a file may have changed in psql or in the session; its transaction is still open here. @ERRORS@ is the file with
# psql's errors: a file that goes on after one has hidden it.
_RESTORE = r"""
\set ON_ERROR_STOP on
\set AUTOCOMMIT on
\set ON_ERROR_ROLLBACK off
\set SINGLELINE off
\set VERBOSITY terse
\set SHOW_CONTEXT never
\set ECHO errors
\set QUIET on
\set FETCH_COUNT 0
\o /dev/null
\set dbupgrade_problem `test :'LAST_ERROR_SQLSTATE' = 00000 && ! grep -qE '^psql:.*: error: ' '@ERRORS@' && echo false || echo true`
\if :dbupgrade_problem
\echo dbupgrade: problem ErrorHidden @NAME@
\quit
\endif
SELECT pg_catalog.pg_backend_pid() <> :dbupgrade_session AS dbupgrade_problem \gset
\if :dbupgrade_problem
\echo dbupgrade: problem Reconnected @NAME@
\quit
\endif
RESET SESSION AUTHORIZATION;
RESET ROLE;
RESET ALL;
"""

# Whether a database holds more than our own table and what extensions brought.
_USED = r"""
SELECT EXISTS (
  SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\_toast%'
    AND n.nspname NOT LIKE 'pg\_temp%'
    AND (NOT :dbupgrade_bound OR n.nspname = current_schema())
    AND NOT (n.nspname = current_schema() AND c.relname = '@HISTORY@')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
      WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
) AS dbupgrade_used \gset
"""

_LOCKING = r"""
SET lock_timeout = '@TIMEOUT@';
SELECT pg_catalog.pg_advisory_lock(@LOCK@);
RESET lock_timeout;
"""

_BEGINNING = (
    r"""
\set ON_ERROR_STOP on
\set VERBOSITY terse
\set SHOW_CONTEXT never
\set ECHO errors
\echo dbupgrade: connected
SET client_min_messages = warning;
@LOCKING@
\echo dbupgrade: locked
SELECT pg_catalog.pg_backend_pid() AS dbupgrade_session \gset
SELECT coalesce(quote_ident(current_schema()), '') AS dbupgrade_schema,
  current_schema() IS NULL AS dbupgrade_problem \gset
\if :dbupgrade_problem
\echo dbupgrade: problem NoSchema
\quit
\endif
SELECT to_regclass(:'dbupgrade_schema' || '.@HISTORY@') IS NULL AS dbupgrade_empty \gset
\if :dbupgrade_empty
\else
SELECT NOT EXISTS (SELECT FROM :dbupgrade_schema.@HISTORY@) AS dbupgrade_empty \gset
\endif
SELECT NOT :dbupgrade_bound AND to_regclass(:'dbupgrade_schema' || '.@HISTORY@') IS NULL
  AND to_regclass('@HISTORY@') IS NOT NULL AS dbupgrade_problem \gset
\if :dbupgrade_problem
\echo dbupgrade: problem HistoryElsewhere
\quit
\endif
\if :dbupgrade_empty
"""
    + _USED
    + r"""
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
CREATE TABLE IF NOT EXISTS :dbupgrade_schema.@HISTORY@ (
  name text COLLATE "C" PRIMARY KEY,
  version text NOT NULL,
  checksum text NOT NULL,
  baseline boolean NOT NULL DEFAULT false,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  finished_at timestamptz,
  complete text COLLATE "C" CONSTRAINT @CONSTRAINT@
    REFERENCES :dbupgrade_schema.@HISTORY@ (name) DEFERRABLE INITIALLY DEFERRED
);
\if :dbupgrade_with_baseline
INSERT INTO :dbupgrade_schema.@HISTORY@ (name, version, checksum, baseline, finished_at, complete)
SELECT name, version, checksum, true, clock_timestamp(), name
FROM (:dbupgrade_files) AS f (name, version, checksum)
WHERE name COLLATE "C" <= (
  SELECT max(name COLLATE "C") FROM (:dbupgrade_files) AS f (name, version, checksum) WHERE version = :'dbupgrade_baseline');
\endif
COMMIT;
\endif
WITH f (name, version, checksum) AS (:dbupgrade_files), h AS (SELECT * FROM :dbupgrade_schema.@HISTORY@),
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
"""
)

# With AUTOCOMMIT off, what a file does after a ROLLBACK or \connect of its own waits for a COMMIT that never comes.
_EACH = r"""
restore() { sed "s|@NAME@|$name|; s|@ERRORS@|$work/errors|" "$work/restore"; }
each() {
  cat <<END
SELECT NOT EXISTS (SELECT FROM :dbupgrade_schema.@HISTORY@ WHERE name = '$name') AS dbupgrade_wanted \\gset
\\if :dbupgrade_wanted
@LOCKING@
\\echo dbupgrade: begin $name
END
  if [ "$transaction" = yes ]; then
    cat <<END
BEGIN;
INSERT INTO :dbupgrade_schema.@HISTORY@ (name, version, checksum, complete) VALUES ('$name', '$version', '$checksum', '');
\\set AUTOCOMMIT off
\\i '$MIGRATIONS/$name'
END
    restore
    cat <<END
WITH done AS (UPDATE :dbupgrade_schema.@HISTORY@ SET complete = name, finished_at = clock_timestamp()
  WHERE name = '$name' AND complete = '' RETURNING 1) SELECT count(*) = 0 AS dbupgrade_problem FROM done \\gset
\\if :dbupgrade_problem
\\echo dbupgrade: problem TransactionEnded $name
\\quit
\\endif
COMMIT;
END
  else
    cat <<END
INSERT INTO :dbupgrade_schema.@HISTORY@ (name, version, checksum) VALUES ('$name', '$version', '$checksum');
\\i '$MIGRATIONS/$name'
END
    restore
    cat <<END
SELECT now() <> statement_timestamp() AS dbupgrade_problem \\gset
\\if :dbupgrade_problem
\\echo dbupgrade: problem TransactionOpen $name
\\quit
\\endif
UPDATE :dbupgrade_schema.@HISTORY@ SET complete = name, finished_at = clock_timestamp() WHERE name = '$name';
END
  fi
  cat <<END
DISCARD TEMP;
DEALLOCATE ALL;
\\echo dbupgrade: end $name
\\endif
END
}
"""


def _filled(text: str) -> str:
    """`text` with our names in it."""
    names = {
        "@LOCKING@": _LOCKING.strip(),
        "@HISTORY@": HISTORY,
        "@CONSTRAINT@": TRANSACTION_CONSTRAINT,
        "@TIMEOUT@": LOCK_TIMEOUT,
        "@LOCK@": str(_LOCK),
    }
    for name, value in names.items():
        text = text.replace(name, value)
    return text


SCRIPT = (
    rf"""
set -eu
export LC_ALL=C
umask 077
work=$(mktemp -d "$HOME/psql.XXXXXX")
: > "$work/said"; : > "$work/errors"; : > "$work/files"
code=0

# The report has names of files and versions only in characters that need no escape in JSON; psql's words are encoded.
report() {{
  plain() {{ tr '\n' ' ' | tr -dc 'A-Za-z0-9._ +=,@()-' | sed 's/ $//'; }}
  said() {{ sed -n "s/^dbupgrade: $1 //p" "$work/said"; }}
  begun=$(said begin | tail -n 1 | plain) ended=$(said end | tail -n 1 | plain)
  plan=$(said plan | head -n 1 | plain) applied=$(said end | wc -l | tr -d ' ')
  problem=$(if [ -n "${{1:-}}" ]; then echo "$1"; else said problem | tail -n 1; fi | plain)
  phase=connect; ! grep -q '^dbupgrade: connected' "$work/said" || phase=lock
  ! grep -q '^dbupgrade: locked' "$work/said" || phase=history
  [ -z "$plan" ] || phase=files
  [ "$begun" != "$ended" ] || begun=
  pending=${{plan%% *}} from=${{plan#* }}; to=$from
  if [ -n "$ended" ]; then to=${{ended%.sql}}; to=${{to%%_*}}; fi
  last=$(grep -nE '^psql:([^:]*:[0-9]+:)? ?(ERROR|FATAL|PANIC|error):' "$work/errors" | tail -n 1 | cut -d: -f1)
  errors=$(tail -n "+${{last:-1}}" "$work/errors" | head -c {_ERRORS_SHOWN} | base64 | tr -d '\n')
  printf '\n%s{{"exit":%d,"phase":"%s","problem":"%s","file":"%s","from":"%s","to":"%s","pending":%d,"applied":%d,"errors":"%s"}}\n' \
    '{MARK}' "$code" "$phase" "$problem" "$begun" "$from" "$to" "${{pending:-0}}" "$applied" "$errors"
  [ -z "$problem" ] || exit 1
  [ "$code" != 0 ] || exit 0
  # Only where no connection was made is it sure that nothing was done.
  if [ "$phase" = connect ] && ! grep -qiE 'authentication|pg_hba|SSL|certificate|role .* does not exist|invalid [a-z_]* value' "$work/errors"; then
    exit {UNREACHABLE_EXIT_CODE}
  fi
  exit 1
}}
"""
    + libpq.CONNECT
    + rf"""
[ -z "$unknown_parameter" ] || {{ echo "the URL has a parameter that psql does not know: $unknown_parameter" >&2; report UnknownParameter; }}
cat > "$work/restore" <<'END'
{_RESTORE}END
"""
    + _filled(_EACH)
    + rf"""
cd "$MIGRATIONS"
set -- *.sql
[ -e "$1" ] || report EmptyFolder
: > "$work/steps"
bom=$(printf '\357\273\277')
for name in "$@"; do
  case $name in *[!A-Za-z0-9._\ +=,@\(\)-]*) report "FileName $name" ;; esac
  [ -f "$name" ] && [ -r "$name" ] || report "FileUnreadable $name"
  version=${{name%.sql}}; version=${{version%%_*}}
  checksum=$(sha256sum < "$name"); checksum=${{checksum%% *}}
  # The head of a file: its first lines, as far as they are comments or empty.
  head=$(sed "1s/^$bom//" "$name" | sed -n '/^[[:space:]]*\(--.*\)\{{0,1\}}$/!q; s/^[[:space:]]*--[[:space:]]*dbupgrade:/dbupgrade:/p' | tr -d '\r' | sed 's/[[:space:]]*$//')
  case $head in
    '') transaction=yes ;;
    'dbupgrade:txmode none') transaction=no ;;
    *) report "FileHeader $name" ;;
  esac
  [ ! -s "$work/files" ] || printf ', ' >> "$work/files"
  printf "('%s', '%s', '%s')" "$name" "$version" "$checksum" >> "$work/files"
  each >> "$work/steps"
done
case ${{PGOPTIONS:-}} in *search_path=*) bound=true ;; *) bound=false ;; esac
{{
  # A variable of psql can hold the list, and quotes in it are doubled.
  printf "\\\\set dbupgrade_files 'VALUES %s'\n" "$(sed "s/'/''/g" "$work/files")"
  printf '\\set dbupgrade_bound %s\n' "$bound"
  printf '\\set dbupgrade_baseline %s\n' "'${{BASELINE:-}}'"
  printf '\\set dbupgrade_with_baseline %s\n' "$([ -n "${{BASELINE:-}}" ] && echo true || echo false)"
  cat <<'END'
{_filled(_BEGINNING)}END
  cat "$work/steps"
}} > "$work/run"

mkfifo "$work/pipe"
tee "$work/said" < "$work/pipe" &
tee=$!
psql --no-psqlrc --no-password --quiet --set=ON_ERROR_STOP=1 --output=/dev/null --file="$work/run" > "$work/pipe" 2> "$work/errors" &
psql=$!
# An interrupt makes psql cancel the statement and undo the transaction; the signal of a pod's end would reach the shell only.
trap 'kill -INT "$psql" 2>/dev/null || true' TERM INT
while :; do
  code=0; wait "$psql" || code=$?
  kill -0 "$psql" 2>/dev/null || break
done
wait "$tee" || true
cat "$work/errors" >&2
report
"""
)
"""Applies what is pending in MIGRATIONS. BASELINE may be set; the connection is in DATABASE_URL or in libpq's variables."""
