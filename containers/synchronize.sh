#!/bin/sh
# Apply the config repository, then wait until Creator has written the token of the cluster's agents.
set -eu
python tools/synchronize/main.py apply
seconds=300
until [ -f /var/lib/agent-tokens/containers ]; do
    seconds=$((seconds - 1))
    [ "$seconds" -gt 0 ] || { echo "Creator has not made the cluster in 300 seconds: see its deployment on the page, and the log of creator" >&2; exit 1; }
    sleep 1
done
