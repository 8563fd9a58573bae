#!/usr/bin/env bash
# Run the end-to-end scenarios on a cluster of their own, which is stopped afterwards whatever happens.
# Arguments: the folder for the cluster's state, then any for pytest.
set -euo pipefail
state=$1
shift
trap '.venv/bin/python -m e2e.cluster down --state "$state"' EXIT
.venv/bin/python -m e2e.cluster up --state "$state"
export DBUPGRADE_E2E_STATE=$state
# Scenarios that kill operators bring their own; the shared one leaves their resources alone. With DBUPGRADE_E2E_NAMESPACED
# every scenario brings one, with Roles instead of the ClusterRole, and the shared one serves the webhook only.
watched='e2e-operator!=own'
[ -z "${DBUPGRADE_E2E_NAMESPACED:-}" ] || watched='e2e-operator=none'
export DBUPGRADE_WATCH_LABEL_SELECTOR=$watched
export DBUPGRADE_LEADER_ELECTION_ENABLED=true
.venv/bin/python -m e2e.operator start --state "$state"
unset DBUPGRADE_WATCH_LABEL_SELECTOR DBUPGRADE_LEADER_ELECTION_ENABLED
.venv/bin/pytest e2e/scenarios -n 6 --dist worksteal "$@"
# A part of the scenarios does not use all permissions.
[ $# -gt 0 ] || .venv/bin/python -m e2e.privileges --state "$state" ${DBUPGRADE_E2E_NAMESPACED:+--namespaced}
