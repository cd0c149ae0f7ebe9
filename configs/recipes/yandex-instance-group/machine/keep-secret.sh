#!/bin/sh
# Keeps what only the agent may know in files for root alone; where the secret store has other values, the agent starts anew.
# `read-secret` prints them: the agent's token, then the address of its second source, which may be empty.
set -eu
umask 077
programs=${MR_PROBER_PROGRAMS:-/usr/local/lib/mr-prober}
folder=${MR_PROBER_SECRETS:-/etc/mr-prober}

mkdir -p "$folder"
"$programs/read-secret" >"$folder/draft"
if [ -z "$(head -n 1 "$folder/draft")" ]; then
    echo "the secret store holds no token" >&2
    exit 1
fi
if cmp -s "$folder/draft" "$folder/kept"; then
    rm "$folder/draft"
    exit 0
fi
sed -n 1p "$folder/draft" >"$folder/agent.token.draft"
sed -n 2p "$folder/draft" >"$folder/fallback-url.draft"
mv "$folder/agent.token.draft" "$folder/agent.token"
mv "$folder/fallback-url.draft" "$folder/fallback-url"
if docker container inspect mr-prober-agent >/dev/null 2>&1; then
    docker restart mr-prober-agent >/dev/null
fi
# The last thing: whatever failed above is tried again.
mv "$folder/draft" "$folder/kept"
