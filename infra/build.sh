#!/usr/bin/env bash
# Builds what a deployment runs.
#
#   infra/build.sh TARGET [KIND] [ARCHITECTURE]
#
#   TARGET         aws, gcp, azure or selfhost: which main below infra
#   KIND           zip     for Lambda: the program as "bootstrap"; the default of aws
#                  image   a tar for docker load, podman load or crane push: FROM scratch, not root, with certificates
#                          and zone data inside; the default of the others
#                  binary  the program alone
#   ARCHITECTURE   amd64 or arm64; default: arm64 for aws, amd64 for the others, which Cloud Run and Container Apps want
#
# The result is bin/piecework-TARGET-ARCHITECTURE, with .zip or .tar; its name and sum are printed. The same sources and
# the same Go give the same bytes. It needs Go and nothing else: no Docker.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  printf 'build.sh: %s\nusage: infra/build.sh aws|gcp|azure|selfhost [zip|image|binary] [amd64|arm64]\n' "$1" >&2
  exit 2
}

(($# >= 1 && $# <= 3)) || usage "want one to three arguments, not $#"
target=$1
case $target in
aws) kind=zip arch=arm64 ;;
gcp | azure | selfhost) kind=image arch=amd64 ;;
*) usage "there is no target \"$target\"" ;;
esac
kind=${2:-$kind}
arch=${3:-$arch}
case $kind in
zip | image | binary) ;;
*) usage "there is no kind \"$kind\"" ;;
esac
case $arch in
amd64 | arm64) ;;
*) usage "there is no architecture \"$arch\"" ;;
esac

mkdir -p bin
program=bin/piecework-$target-$arch

# No path, no time, no build id and no state of git goes in; zone data does, since neither Lambda nor an empty image has
# any. GOFLAGS of the machine stay out.
#
# lambda.norpc leaves out the server of a runtime that is gone, and grpcnotrace a debug page of gRPC whose template makes
# the linker keep every method of every type, also in programs that do not use gRPC: 20 MB become 33.
CGO_ENABLED=0 GOOS=linux GOARCH=$arch GOFLAGS='' \
  go build -trimpath -buildvcs=false -tags timetzdata,lambda.norpc,grpcnotrace -ldflags '-s -w -buildid=' -o "$program" "./infra/$target"

# It runs here, so it is built for this machine.
pack() { GOFLAGS='' go run -C .ci/tools/pack . "$@"; }

root=$PWD
out=$program
case $kind in
zip)
  out=$program.zip
  pack zip "$root/$out" "$root/$program"
  ;;
image)
  out=$program.tar
  pack image "$root/$out" "$root/$program" "$arch" "piecework-$target:latest"
  ;;
esac
sha256sum "$out"
