#!/bin/sh
# One of the Node.js clients: node.sh PORT NAME runs NAME.cjs with the packages in build/clients.
here="$(cd "$(dirname "$0")" && pwd)"
export NODE_PATH="$here/../../build/clients/node_modules"
command -v node >/dev/null && [ -d "$NODE_PATH" ] || { echo "node and the packages of package.json are not installed"; exit 77; }
exec node --no-warnings "$here/$2.cjs" "$1"
