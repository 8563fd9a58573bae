# Waits until a DBUpgrade is Ready for its current spec; fails as soon as it is Stalled, or on a timeout.
# Environment: NAMESPACE, NAME, SECONDS_. Arguments: kubectl and its options.
set -u
end=$(($(date +%s) + SECONDS_))
shown=
# One value a line; the message comes last, because it may have several lines.
template='{.metadata.generation}
{.status.observedGeneration}
{.metadata.annotations.dbupgrade\.subbug\.learning/retry}
{.status.lastHandledRetry}
{.status.conditions[?(@.type=="Ready")].status}
{.status.conditions[?(@.type=="Stalled")].status}
{.status.conditions[?(@.type=="Progressing")].reason}
{.status.conditions[?(@.type=="Progressing")].message}'

get() {
  "$@" --namespace "$NAMESPACE" --request-timeout=20s get dbupgrades.dbupgrade.subbug.learning "$NAME" --output "jsonpath=$template"
}

while :; do
  answer=$(get "$@" 2> /dev/null)
  case $? in
    0)
      {
        read -r generation
        read -r observed
        read -r retry
        read -r handled
        read -r ready
        read -r stalled
        read -r reason
        message=$(cat)
      } << ANSWER
$answer
ANSWER
      line="${reason:-not seen by the operator yet}${message:+: $message}"
      ;;
    126 | 127) get "$@"; echo "kubectl is needed to wait: install it, name it in the variable kubectl, or set wait_for_completion = false" >&2; exit 1 ;;
    *) observed='' generation=none line="cannot be read: $(get "$@" 2>&1 > /dev/null)" ;;
  esac
  if [ "$line" != "$shown" ]; then
    echo "$NAMESPACE/$NAME: $line"
    shown=$line
  fi
  # A retry that the operator has not seen yet concerns the status as a new generation does.
  if [ "$observed" = "$generation" ] && { [ "$ready" = True ] || [ -z "$retry" ] || [ "$retry" = "$handled" ]; }; then
    [ "$ready" != True ] || exit 0
    if [ "$stalled" = True ]; then
      echo "$NAMESPACE/$NAME failed and is not retried automatically: $line" >&2
      exit 1
    fi
  fi
  if [ "$(date +%s)" -ge "$end" ]; then
    echo "$NAMESPACE/$NAME is not ready after $SECONDS_ s; the wait ends, and the migration continues. Last state: $line" >&2
    exit 1
  fi
  sleep 2
done
