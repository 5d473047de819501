#!/bin/sh
# Makes what kustomize needs beside the manifests: the certificates, and the configuration that the compose file uses too.
# kustomize reads no files outside of its folder, so that they are copied.
set -eu
cd "$(dirname "$0")"
sh ../certificates.sh certificates
mkdir -p generated
cp ../postgres/postgresql.conf ../postgres/pg_hba.conf ../temporal/styx.yaml ../temporal/dynamic.yaml ../temporal/schema.sh generated/
