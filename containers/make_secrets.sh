#!/bin/sh
# Make the secrets of docker-compose.yml in .compose/, once: random, for their owner only, in no repository.
set -eu
cd "$(dirname "$0")/.."
[ ! -f .compose/complete ] || exit 0
umask 077
mkdir -p .compose
random() { # 43 letters, digits, - and _
    head -c 32 /dev/urandom | base64 | tr -d '=\n' | tr '+/' '-_'
}
postgresql=$(random)
solomon=$(random)
s3_id=$(random | cut -c 1-20)
s3_secret=$(random)
printf 'POSTGRES_PASSWORD=%s\n' "$postgresql" >.compose/postgresql.env
printf 'S3_ACCESS_KEY_ID=%s\nS3_SECRET_ACCESS_KEY=%s\n' "$s3_id" "$s3_secret" >.compose/s3.env
printf 'MR_PROBER_SOLOMON_TOKEN=%s\n' "$solomon" >.compose/solomon.env
{
    printf 'MR_PROBER_DATABASE_URL=postgresql+psycopg://mr_prober:%s@postgresql/mr_prober\n' "$postgresql"
    printf 'MR_PROBER_SERVER_KEY=%s\n' "$(random)"
    printf 'MR_PROBER_ENCRYPTION_KEYS=%s\n' "$(random)"
} >.compose/services.env
touch .compose/complete
