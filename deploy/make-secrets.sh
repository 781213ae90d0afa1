#!/bin/sh
# Makes the secrets of docker-compose.yml, each a file of its own in deploy/secrets. What is there
# already stays: a new encryption key could not read what the old one has written.
set -eu
cd "$(dirname "$0")"

mkdir -p secrets
chmod 700 secrets # the files are for the containers' users, the folder keeps out everybody else
cd secrets

make() {
  [ -s "$1" ] || printf '%s' "$2" >"$1"
  chmod 644 "$1"
}

hex() { head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n'; }

make postgres_password "$(hex)"
make temporal_postgres_password "$(hex)"
make encryption_key "$(head -c 32 /dev/urandom | base64)"
make database_url "postgres://remit:$(cat postgres_password)@postgres:5432/remit"
echo 'The secrets are in deploy/secrets. Keep a copy of encryption_key where the backups are not.'
