#!/bin/sh
# Builds the Kubernetes components of go.mod into $OUT. The version is stamped
# because clients and Helm read it from /version.
set -eu
cd "$(dirname "$0")"
version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
minor=$(echo "$version" | cut -d. -f2)
ldflags="-s -w"
for package in k8s.io/component-base/version k8s.io/client-go/pkg/version; do
  ldflags="$ldflags -X $package.gitVersion=$version -X $package.gitMajor=1 -X $package.gitMinor=$minor -X $package.gitTreeState=clean"
done
for component in kubectl kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy; do
  echo "building $component $version"
  CGO_ENABLED=0 go build -buildvcs=false -trimpath -mod=readonly -ldflags "$ldflags" -o "$OUT/$component" "k8s.io/kubernetes/cmd/$component"
done
