#!/usr/bin/env bash
# Build all images or the named ones, side by side, and push them if asked to.
set -euo pipefail
cd "$(dirname "$0")"

usage() {
    cat <<'TEXT'
usage: ./build_docker_images.sh [-h] [-p] [NAME…] [-- ARGUMENT…]

Builds the images agent, api, creator, solomon_stand_in and tools, or those that are named.

  -p            push all of them, once all are built; MR_PROBER_REGISTRY says where to
  -h            print this help
  ARGUMENT…     handed to `docker build`

Names, tags and examples of arguments: ./build_docker_image.sh -h
TEXT
}

fail() {
    echo "build_docker_images.sh: $1" >&2
    exit 1
}

push=
while getopts hp option; do
    case $option in
    h) usage; exit ;;
    p) push=yes ;;
    *) usage >&2; exit 64 ;;
    esac
done
shift $((OPTIND - 1))
names=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    names+=("$1")
    shift
done
[ ${#names[@]} -gt 0 ] || names=(agent api creator solomon_stand_in tools)
for name in "${names[@]}"; do
    [ -f "$name/Dockerfile" ] || [ -f "containers/$name/Dockerfile" ] || { ./build_docker_image.sh "$name"; exit 64; }
done
[ -z "$push" ] || [ -n "${MR_PROBER_REGISTRY:-}" ] || fail "-p needs MR_PROBER_REGISTRY, the registry to push to"

command -v docker >/dev/null || fail "docker is not installed"
docker version >/dev/null 2>&1 || fail "the Docker daemon does not answer: start it, or see \`docker version\`"

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
pids=()
for name in "${names[@]}"; do
    ./build_docker_image.sh "$name" "$@" >"$logs/$name" 2>&1 &
    pids+=($!)
done
failed=()
for i in "${!names[@]}"; do
    wait "${pids[i]}" || failed+=("${names[i]}")
    sed "s/^/${names[i]}: /" "$logs/${names[i]}"
done
[ ${#failed[@]} -eq 0 ] || fail "not built: ${failed[*]}${push:+; nothing was pushed}"
if [ -n "$push" ]; then
    for name in "${names[@]}"; do
        ./build_docker_image.sh -p "$name" "$@"
    done
fi
