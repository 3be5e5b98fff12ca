#!/bin/bash
# Makes the certificates of the CockroachDB nodes, once per set of volumes: an authority, one certificate for the three
# nodes, and one for root, with whose right cockroach-init.sh works. Nothing is replaced that is there.
set -euo pipefail

authority=/certificates/authority   # ca.crt alone: what clients check a node with
secret=/certificates/secret         # the authority's key, mounted here and nowhere else
node=/certificates/node
client=/certificates/client

if [ ! -e "$secret/ca.key" ]; then
    cockroach cert create-ca --certs-dir="$authority" --ca-key="$secret/ca.key"
fi
cp "$authority/ca.crt" "$node/ca.crt"
cp "$authority/ca.crt" "$client/ca.crt"
chmod 0644 "$authority/ca.crt" "$node/ca.crt" "$client/ca.crt"
if [ ! -e "$node/node.key" ]; then
    cockroach cert create-node cockroach1 cockroach2 cockroach3 localhost 127.0.0.1 \
        --certs-dir="$node" --ca-key="$secret/ca.key"
fi
if [ ! -e "$client/client.root.key" ]; then
    cockroach cert create-client root --certs-dir="$client" --ca-key="$secret/ca.key"
fi
echo "certificates are there"
