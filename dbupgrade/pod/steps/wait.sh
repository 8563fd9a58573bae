# Waits until the server accepts connections, as pg_isready sees it; WAIT_SECONDS at most.
set -eu
export LC_ALL=C

. connection/connect.sh

# Without a name pg_isready looks for that of its user id, and does not even try when the image knows none.
export PGUSER="${PGUSER:-dbupgrade}"
end=$(($(date +%s) + WAIT_SECONDS))
until pg_isready --quiet --timeout=5; do
  if [ "$(date +%s)" -ge "$end" ]; then
    echo "the database accepted no connections within $WAIT_SECONDS s" >&2
    exit 75
  fi
  sleep 1
done
