#!/bin/sh
# Prints what the parameter store holds for this cluster's agents, with the rights of the machine's role.
set -eu
{ read -r region; read -r parameter; } <"${MR_PROBER_STORE:-/usr/local/lib/mr-prober/store}"
exec aws ssm get-parameter --region "$region" --name "$parameter" \
    --with-decryption --query Parameter.Value --output text
