#!/usr/bin/env bash
# Compiles proto specs into googleapis/ (specs) and yandex/ (Python); proto_specs/README.md tells more.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# The activated virtual environment first, then the one that `make` makes.
pythons=("${VIRTUAL_ENV:+$VIRTUAL_ENV/bin/python}" "$root/.venv/bin/python")
for python in "${pythons[@]}"; do
  if [ -x "$python" ] && "$python" -c 'import grpc_tools.protoc, google.api' 2>/dev/null; then
    exec "$python" "$root/proto_specs/build.py" "$@"
  fi
done

case "${1:-}" in
-h | --help)
  sed -n 's/^USAGE = "\(.*\)"$/\1/p' "$root/proto_specs/build.py"
  exit
  ;;
esac
if [ -n "${VIRTUAL_ENV:-}" ]; then
  echo "grpcio-tools is missing: run \"pip install -Ur requirements.txt\" in the virtual environment $VIRTUAL_ENV" >&2
else
  echo "grpcio-tools is missing: run \"make protos\", or activate a virtual environment and run \"pip install -Ur requirements.txt\"" >&2
fi
exit 1
