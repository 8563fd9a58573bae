# Creates a namespace, or removes it again if this module created it and nothing is left in it.
# Environment: NAMESPACE, ID; to create also LABELS. Arguments: create or remove, then kubectl and its options.
set -u
action=$1
shift
fail() { echo "namespace $NAMESPACE $1" >&2; exit 1; }
keep() { echo "namespace $NAMESPACE is kept: $1"; exit 0; }

# "PHASE CREATOR" of the namespace; nothing if there is none.
state() {
  "$@" --request-timeout=20s get namespace "$NAMESPACE" --ignore-not-found \
    --output 'jsonpath={.status.phase} {.metadata.annotations.dbupgrade\.subbug\.learning/created-by}'
}

# What is in the namespace, apart from what Kubernetes puts into each.
left() {
  kinds=$("$@" api-resources --namespaced --verbs=list --output=name) || return 1
  kinds=$(echo "$kinds" | grep -vE '^events(\.|$)|\.metrics\.k8s\.io$' | paste -sd, -)
  found=$("$@" --namespace "$NAMESPACE" get "$kinds" --ignore-not-found --output=name) || return 1
  echo "$found" | grep -vE '^(configmap/kube-root-ca\.crt|serviceaccount/default)?$' | paste -sd' ' -
}

seen=$(state "$@") || fail "cannot be read: check that the cluster is reachable, and that the variable kubectl is right"

if [ "$action" = create ]; then
  case $seen in
    "") ;;
    Terminating*) fail "is being deleted: wait until it is gone, then apply again" ;;
    *) echo "namespace $NAMESPACE exists already: it is used as it is, and destroy keeps it"; exit ;;
  esac
  echo "{\"apiVersion\": \"v1\", \"kind\": \"Namespace\", \"metadata\": {\"name\": \"$NAMESPACE\", \"labels\": $LABELS,
    \"annotations\": {\"dbupgrade.subbug.learning/created-by\": \"$ID\"}}}" | "$@" create --filename=- ||
    fail "was not created: create it yourself, or get permission to create namespaces"
  exit
fi

[ -n "$seen" ] || exit 0
[ "${seen#* }" = "$ID" ] || keep "this module did not create it"
end=$(($(date +%s) + 120))
while :; do
  rest=$(left "$@") || keep "what is in it cannot be listed"
  [ -n "$rest" ] || break
  # Jobs and pods of deleted DBUpgrades disappear a moment later; nothing else does.
  others=$(echo "$rest" | tr ' ' '\n' | grep -vE '^(dbupgrade\.|job\.|pod/)' | paste -sd' ' -)
  if [ -n "$others" ] || [ "$(date +%s)" -ge "$end" ]; then
    keep "it contains $rest. When you no longer need these: $* delete namespace $NAMESPACE"
  fi
  sleep 2
done
"$@" delete namespace "$NAMESPACE" --ignore-not-found
