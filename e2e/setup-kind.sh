#!/usr/bin/env bash
# A kind cluster with an image registry beside it, for e2e/run-e2e.sh. Needs Docker, kind and kubectl.
# Environment: CLUSTER (dbupgrade), REGISTRY_PORT (5001), NODE_IMAGE (kind's own by default).
set -euo pipefail
cluster=${CLUSTER:-dbupgrade}
port=${REGISTRY_PORT:-5001}
registry=$cluster-registry

if [ -z "$(docker ps --quiet --filter "name=^$registry\$")" ]; then
  docker rm --force "$registry" >/dev/null 2>&1 || true
  docker run --detach --restart=always --publish "127.0.0.1:$port:5000" --name "$registry" registry:2 >/dev/null
fi

if ! kind get clusters | grep --quiet --line-regexp "$cluster"; then
  kind create cluster --name "$cluster" ${NODE_IMAGE:+--image "$NODE_IMAGE"} --wait 120s --config - <<CONFIG
kind: Cluster
apiVersion: kind.x-k8s.io/v1alpha4
nodes:
- role: control-plane
- role: worker
- role: worker
containerdConfigPatches:
- |-
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "/etc/containerd/certs.d"
CONFIG
fi

# What the host calls localhost:PORT, the nodes find at the registry's own address, under both of its names.
for node in $(kind get nodes --name "$cluster"); do
  for name in "localhost:$port" "$registry:5000"; do
    docker exec "$node" mkdir -p "/etc/containerd/certs.d/$name"
    printf '[host."http://%s:5000"]\n' "$registry" |
      docker exec --interactive "$node" cp /dev/stdin "/etc/containerd/certs.d/$name/hosts.toml"
  done
done
docker network connect kind "$registry" 2>/dev/null || true
kubectl config use-context "kind-$cluster"
echo "images are pushed to localhost:$port; remove everything with: kind delete cluster --name $cluster; docker rm -f $registry"
