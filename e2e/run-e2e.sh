#!/usr/bin/env bash
# Install the operator on the kind cluster of e2e/setup-kind.sh and migrate the shop's database.
# Needs Docker, kubectl, helm. Environment as for setup-kind.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
cluster=${CLUSTER:-dbupgrade}
port=${REGISTRY_PORT:-5001}
registry=localhost:$port
postgres=postgres:17.6-alpine
tag=e2e-$(date +%s)
kubectl config use-context "kind-$cluster"

build() { # name, dockerfile, context
  docker build --quiet --tag "$registry/$1:$tag" --file "$2" "$3"
  docker push --quiet "$registry/$1:$tag"
}
build dbupgrade-operator Dockerfile .
build dbupgrade-crane images/crane/Dockerfile e2e/tools/crane
build dbupgrade-atlas images/atlas/Dockerfile images/atlas
docker build --quiet --tag "$registry/dbupgrade-migrate:$tag" --build-arg "ATLAS_IMAGE=$registry/dbupgrade-atlas:$tag" \
  --file images/migrate/Dockerfile .
docker push --quiet "$registry/dbupgrade-migrate:$tag"
build shop examples/shop/Dockerfile examples/shop

# The chart's optional dependencies are not wanted here.
chart=$(mktemp --directory)
trap 'rm -rf "$chart"' EXIT
python3 -c 'import sys, pathlib; sys.path.insert(0, "."); from deploy.chart import without_dependencies
without_dependencies(pathlib.Path(sys.argv[1]))' "$chart"
helm upgrade --install dbupgrade-operator "$chart/dbupgrade-operator" \
  --namespace dbupgrade-system --create-namespace --wait --timeout 5m \
  --set replicaCount=2 --set webhook.certManager.enabled=false --set insecureRegistries=true \
  --set "image.repository=$registry/dbupgrade-operator" --set "image.tag=$tag" \
  --set "craneImage=$registry/dbupgrade-crane:$tag" --set "runnerImage=$registry/dbupgrade-migrate:$tag" --set "atlasImage="

kubectl delete namespace shop --ignore-not-found
kubectl create namespace shop
kubectl --namespace shop create deployment postgres --image="$postgres" --port=5432 --dry-run=client --output=yaml |
  kubectl set env --local --filename=- --output=yaml POSTGRES_PASSWORD=shop POSTGRES_DB=shop |
  kubectl --namespace shop apply --filename=-
kubectl --namespace shop expose deployment postgres
kubectl --namespace shop rollout status deployment/postgres --timeout=180s
kubectl --namespace shop create secret generic shop-database \
  --from-literal=url='postgres://postgres:shop@postgres:5432/shop?sslmode=disable'

# crane, in a pod, knows the registry by the name that it has in the cluster's network.
image=$cluster-registry:5000/shop:$tag
kubectl --namespace shop apply --filename=- << MANIFEST
apiVersion: dbupgrade.subbug.learning/v1alpha1
kind: DBUpgrade
metadata:
  name: shop
spec:
  migrations:
    image: $image
  database:
    type: selfHosted
    connection:
      urlSecretRef:
        name: shop-database
  runner:
    waitForDatabaseSeconds: 60
MANIFEST
kubectl --namespace shop wait --for=condition=Ready dbupgrade/shop --timeout=5m
kubectl --namespace shop get dbupgrade shop --output=wide

helm uninstall dbupgrade-operator --namespace dbupgrade-system --wait
kubectl delete namespace shop dbupgrade-system
kubectl delete crd dbupgrades.dbupgrade.subbug.learning
echo "the migration ran, and everything is gone again"
