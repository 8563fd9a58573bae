#!/usr/bin/env bash
# Install the operator as users do, from its image, on a cluster of its own, which is stopped afterwards whatever happens.
# Arguments: the folder for the cluster's state, then those for pytest (e2e/installation).
set -euo pipefail
state=$1
shift
trap '.venv/bin/python -m e2e.cluster down --state "$state"' EXIT
.venv/bin/python -m e2e.cluster up --state "$state"
DBUPGRADE_E2E_STATE=$state .venv/bin/pytest "${@:-e2e/installation}"
