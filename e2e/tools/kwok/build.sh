#!/bin/sh
# Builds KWOK, at the version go.mod names, into $OUT; $OUT/stages.yaml holds how
# it plays nodes and pods: they are ready at once.
set -eu
cd "$(dirname "$0")"
CGO_ENABLED=0 go build -buildvcs=false -trimpath -mod=readonly -ldflags "-s -w" -o "$OUT/kwok" sigs.k8s.io/kwok/cmd/kwok
module=$(go list -m -f '{{.Dir}}' sigs.k8s.io/kwok)
for stage in "$module"/kustomize/stage/node/fast/*.yaml "$module"/kustomize/stage/pod/fast/*.yaml; do
  case $stage in */kustomization.yaml) continue ;; esac
  echo ---
  cat "$stage"
done >"$OUT/stages.yaml"
