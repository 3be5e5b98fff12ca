#!/bin/bash
# Joins the three nodes into a cluster and makes what AllocBench needs there: change feeds allowed, a database, a user
# with a password. May run again at any time. The password comes by the environment and goes on by standard input, so
# that no list of processes shows it.
set -euo pipefail
: "${DATABASE_PASSWORD:?expected the password that the user allocbench gets}"

connection=(--certs-dir=/certificates/client --host=cockroach1:26257)
for attempt in {1..60}; do
    if answer=$(cockroach init "${connection[@]}" 2>&1) || [[ $answer == *"already been initialized"* ]]; then
        break
    fi
    if [ "$attempt" -eq 60 ]; then
        echo "the cluster can't be initialized: $answer" >&2
        exit 1
    fi
    sleep 1
done

quote="'"
cockroach sql "${connection[@]}" <<SQL
SET CLUSTER SETTING kv.rangefeed.enabled = true;
CREATE DATABASE IF NOT EXISTS bench;
CREATE USER IF NOT EXISTS allocbench;
ALTER USER allocbench WITH PASSWORD '${DATABASE_PASSWORD//$quote/$quote$quote}';
GRANT admin TO allocbench;
SQL
echo "the cluster is ready"
