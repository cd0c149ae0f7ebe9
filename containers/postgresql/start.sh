#!/bin/sh
# Make the database at the first start, then become PostgreSQL. POSTGRES_PASSWORD is the password of its one user.
set -eu
umask 077
data=/var/lib/postgresql/data
if [ ! -f "$data/complete" ]; then
    : "${POSTGRES_PASSWORD:?must be set}"
    rm -rf "$data"
    printf '%s\n' "$POSTGRES_PASSWORD" >/tmp/password
    initdb --pgdata="$data" --username=mr_prober --pwfile=/tmp/password --auth=scram-sha-256 --encoding=UTF8 --locale=C.UTF-8 --no-sync >/dev/null
    rm /tmp/password
    printf 'host all all all scram-sha-256\n' >>"$data/pg_hba.conf"
    echo 'CREATE DATABASE mr_prober' | postgres --single -D "$data" postgres >/dev/null
    sync
    touch "$data/complete"
fi
unset POSTGRES_PASSWORD
exec postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/tmp
