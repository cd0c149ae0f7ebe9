#!/usr/bin/env bash
# Build one image, and push it if asked to.
set -euo pipefail
cd "$(dirname "$0")"

usage() {
    cat <<'TEXT'
usage: ./build_docker_image.sh [-h] [-p] NAME [-- ARGUMENT…]

Builds the image of one service as mr-prober-NAME.

  NAME          agent, api, creator, solomon_stand_in or tools;
                postgresql or s3 for those that only docker-compose.yml uses
  -p            push it afterwards; MR_PROBER_REGISTRY says where to, for example registry.example/team
  -h            print this help
  ARGUMENT…     handed to `docker build`, for example
                  --build-arg BASE_IMAGE=NAME   another Python 3.11 on Debian
                  --secret id=index,src=FILE    where packages come from: shell lines for pip and uv,
                                                such as PIP_INDEX_URL=…, UV_DEFAULT_INDEX=…
                  --secret id=authorities,src=FILE
                                                certificates (PEM) that those lines may name as
                                                /run/secrets/authorities

Tags: VERSION and VERSION-COMMIT; only VERSION-COMMIT-dirty where files differ from the commit; here also latest.
All but latest are also made with MR_PROBER_REGISTRY/ in front, if that is set.
TEXT
}

fail() {
    echo "build_docker_image.sh: $1" >&2
    exit "${2:-1}"
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
[ $# -gt 0 ] || { usage >&2; exit 64; }
name=$1
shift
if [ $# -gt 0 ]; then
    [ "$1" = -- ] || fail "what is for docker build comes after --: $1" 64
    shift
fi

case $name in
agent | api | creator | solomon_stand_in | tools) file=$name/Dockerfile ;;
postgresql | s3) file=containers/$name/Dockerfile ;;
*) fail "there is no image $name: choose agent, api, creator, solomon_stand_in, tools, postgresql or s3" 64 ;;
esac
registry=${MR_PROBER_REGISTRY:-}
[ -z "$push" ] || [ -n "$registry" ] || fail "-p needs MR_PROBER_REGISTRY, the registry to push to"
command -v docker >/dev/null || fail "docker is not installed"
docker version >/dev/null 2>&1 || fail "the Docker daemon does not answer: start it, or see \`docker version\`"

image=mr-prober-${name//_/-}
version=$(sed -nE 's/^VERSION = "(.*)"$/\1/p' common/version.py)
commit=$(git rev-parse --short=12 HEAD 2>/dev/null || echo unknown)
if [ -n "$(git status --porcelain 2>/dev/null)" ]; then
    tags=("$version-$commit-dirty")
else
    tags=("$version" "$version-$commit")
fi
references=("$image:latest") # on this machine only
for tag in "${tags[@]}"; do
    references+=("$image:$tag")
    [ -z "$registry" ] || references+=("${registry%/}/$image:$tag")
done

DOCKER_BUILDKIT=1 docker build --file "$file" "${references[@]/#/--tag=}" \
    --label "org.opencontainers.image.version=$version" --label "org.opencontainers.image.revision=$commit" \
    "$@" . || fail "$image was not built"
if [ -n "$push" ]; then
    for tag in "${tags[@]}"; do
        docker push "${registry%/}/$image:$tag" || fail "$image:$tag was not pushed to $registry"
    done
fi
printf 'built %s\n' "${references[@]}"
