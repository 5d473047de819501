#!/bin/sh
# Makes Temporal's two databases, or brings their schema up to this version's. Safe to repeat.
# SQL_HOST and SQL_PORT say where PostgreSQL is; STYX_CERTIFICATES has the certificates of the role `temporal`.
set -eu
certificates=${STYX_CERTIFICATES:-/certificates}
export SQL_PLUGIN=postgres12_pgx SQL_USER=temporal SQL_TLS=true
export SQL_TLS_CA_FILE="$certificates/ca.crt" SQL_TLS_CERT_FILE="$certificates/tls.crt" SQL_TLS_KEY_FILE="$certificates/tls.key"
export SQL_TLS_SERVER_NAME="${SQL_TLS_SERVER_NAME:-$SQL_HOST}"

schema() {
  database=$1 name=$2
  temporal-sql-tool --db "$database" create-database --defaultdb postgres
  # The table of versions is there only after a first setup.
  temporal-sql-tool --db "$database" setup-schema -v 0.0
  temporal-sql-tool --db "$database" update-schema --schema-name "$name"
}
schema temporal postgresql/v12/temporal
schema temporal_visibility postgresql/v12/visibility
