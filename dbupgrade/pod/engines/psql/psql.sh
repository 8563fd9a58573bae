# Applies what is pending in MIGRATIONS, in one session of psql. BASELINE may be set; the connection is in DATABASE_URL or in
# libpq's variables. Any sh with the usual tools (those of busybox, for example) and psql are enough.
set -eu
export LC_ALL=C
umask 077
work=$(mktemp -d "$HOME/psql.XXXXXX")
: > "$work/said"; : > "$work/errors"; : > "$work/files"
code=0

# The report has names of files and versions only in characters that need no escape in JSON; psql's words are encoded.
report() {
  plain() { tr '\n' ' ' | tr -dc 'A-Za-z0-9._ +=,@()-' | sed 's/ $//'; }
  said() { sed -n "s/^dbupgrade: $1 //p" "$work/said"; }
  begun=$(said begin | tail -n 1 | plain) ended=$(said end | tail -n 1 | plain)
  plan=$(said plan | head -n 1 | plain) applied=$(said end | wc -l | tr -d ' ')
  problem=$(if [ -n "${1:-}" ]; then echo "$1"; else said problem | tail -n 1; fi | plain)
  phase=connect; ! grep -q '^dbupgrade: connected' "$work/said" || phase=lock
  ! grep -q '^dbupgrade: locked' "$work/said" || phase=history
  [ -z "$plan" ] || phase=files
  [ "$begun" != "$ended" ] || begun=
  pending=${plan%% *} from=${plan#* }; to=$from
  if [ -n "$ended" ]; then to=${ended%.sql}; to=${to%%_*}; fi
  last=$(grep -nE '^psql:([^:]*:[0-9]+:)? ?(ERROR|FATAL|PANIC|error):' "$work/errors" | tail -n 1 | cut -d: -f1)
  errors=$(tail -n "+${last:-1}" "$work/errors" | head -c 12000 | base64 | tr -d '\n')
  printf '\n%s{"exit":%d,"phase":"%s","problem":"%s","file":"%s","from":"%s","to":"%s","pending":%d,"applied":%d,"errors":"%s"}\n' \
    'dbupgrade-report:' "$code" "$phase" "$problem" "$begun" "$from" "$to" "${pending:-0}" "$applied" "$errors"
  [ -z "$problem" ] || exit 1
  [ "$code" != 0 ] || exit 0
  # Only where no connection was made is it sure that nothing was done.
  if [ "$phase" = connect ] && ! grep -qiE 'authentication|pg_hba|SSL|certificate|role .* does not exist|invalid [a-z_]* value' "$work/errors"; then
    exit 75
  fi
  exit 1
}

. connection/connect.sh

[ -z "$unknown_parameter" ] || { echo "the URL has a parameter that psql does not know: $unknown_parameter" >&2; report UnknownParameter; }
# Sets back what a file may have changed in psql or in the session; its transaction is still open then. @ERRORS@ is the
# file with psql's errors: a migration that goes on after one has hidden it.
cat > "$work/restore" <<'END'
\i engines/psql/restore.sql
END

. engines/psql/each.sh

cd "$MIGRATIONS"
set -- *.sql
[ -e "$1" ] || report EmptyFolder
: > "$work/steps"
bom=$(printf '\357\273\277')
for name in "$@"; do
  case $name in *[!A-Za-z0-9._\ +=,@\(\)-]*) report "FileName $name" ;; esac
  # shellcheck disable=SC2015 # whichever of both does not hold
  [ -f "$name" ] && [ -r "$name" ] || report "FileUnreadable $name"
  version=${name%.sql}; version=${version%%_*}
  checksum=$(sha256sum < "$name"); checksum=${checksum%% *}
  # The head of a file: its first lines, as far as they are comments or empty.
  head=$(sed "1s/^$bom//" "$name" | sed -n '/^[[:space:]]*\(--.*\)\{0,1\}$/!q; s/^[[:space:]]*--[[:space:]]*dbupgrade:/dbupgrade:/p' | tr -d '\r' | sed 's/[[:space:]]*$//')
  case $head in
    '') transaction=yes ;;
    'dbupgrade:txmode none') transaction=no ;;
    *) report "FileHeader $name" ;;
  esac
  [ ! -s "$work/files" ] || printf ', ' >> "$work/files"
  printf "('%s', '%s', '%s')" "$name" "$version" "$checksum" >> "$work/files"
  each >> "$work/steps"
done
case ${PGOPTIONS:-} in *search_path=*) bound=true ;; *) bound=false ;; esac
{
  # A variable of psql can hold the list, and quotes in it are doubled.
  printf "\\\\set dbupgrade_files 'VALUES %s'\n" "$(sed "s/'/''/g" "$work/files")"
  printf '\\set dbupgrade_bound %s\n' "$bound"
  printf '\\set dbupgrade_baseline %s\n' "'${BASELINE:-}'"
  printf '\\set dbupgrade_with_baseline %s\n' "$([ -n "${BASELINE:-}" ] && echo true || echo false)"
  cat <<'END'
\i engines/psql/beginning.sql
END
  cat "$work/steps"
} > "$work/run"

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
