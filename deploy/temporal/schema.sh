#!/bin/sh
# Makes Temporal's two databases, or brings them up to the schema of this image. Run twice, it finds
# its work done.
set -eu
SQL_PASSWORD=$(cat "$SQL_PASSWORD_FILE")
export SQL_PASSWORD
schemas=${TEMPORAL_SCHEMAS:-/etc/temporal/schema/postgresql/v12}

tool() {
  database=$1
  shift
  temporal-sql-tool --plugin postgres12 --ep "$SQL_HOST" --port "${SQL_PORT:-5432}" \
    --user "$SQL_USER" --database "$database" "$@"
}

for database in temporal temporal_visibility; do
  tool "$database" create
  tool "$database" setup-schema --version 0.0
  tool "$database" update-schema --schema-dir "$schemas/${database#temporal_}/versioned"
done
