# Runs a Job, or removes one that has ended. Environment: NAMESPACE, NAME; for a run also SELECTOR, MANIFEST, WAIT, SECONDS_.
# Arguments: run or remove, then kubectl and its options.
set -u
action=$1
shift
fail() { echo "$NAMESPACE/$NAME: $1" >&2; exit 1; }

# The conditions that hold, after the name; nothing when there is no such Job.
state() {
  "$@" --namespace "$NAMESPACE" --request-timeout=20s get job "$NAME" --ignore-not-found \
    --output 'jsonpath={.metadata.name} {.status.conditions[?(@.status=="True")].type}'
}

if [ "$action" = remove ]; then
  seen=$(state "$@") || fail "the Job cannot be read: check that the cluster is reachable, and that the variable kubectl is right"
  case " $seen " in
    "  " | *" Complete "* | *" Failed "*) ;;
    *) fail "the migration is still running: wait until it has ended, or delete the Job yourself to stop it" ;;
  esac
  "$@" --namespace "$NAMESPACE" delete job "$NAME" --ignore-not-found
  exit
fi

end=$(($(date +%s) + SECONDS_))
over() { [ "$(date +%s)" -ge "$end" ]; }

# Never two at once: one that was left running, by an apply that was interrupted or did not wait, is waited for.
while :; do
  others=$("$@" --namespace "$NAMESPACE" --request-timeout=20s get jobs --selector "$SELECTOR" \
    --output 'jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.status=="True")].type}{"\n"}{end}') ||
    fail "the Jobs of the namespace cannot be listed"
  others=$(echo "$others" | grep -vE ' (Complete|Failed)( |$)' | grep .) || break
  over && fail "another run has not ended yet: $others"
  sleep 2
done

printf '%s' "$MANIFEST" | "$@" create --filename=- || fail "the Job was not created"
[ "$WAIT" = true ] || exit 0

while :; do
  if seen=$(state "$@" 2> /dev/null); then
    case " $seen " in
      *" Complete "*) echo "$NAMESPACE/$NAME: done"; exit 0 ;;
      *" Failed "* | *" FailureTarget "*) fail "the migration failed; see: $* --namespace $NAMESPACE logs --selector batch.kubernetes.io/job-name=$NAME --all-containers --prefix" ;;
      "  ") fail "the Job has been deleted; it is unknown how much of the migration was applied" ;;
    esac
  fi
  over && fail "the migration has not ended within $SECONDS_ s; the wait ends, and the migration continues until its own limit. Last state: $seen"
  sleep 2
done
