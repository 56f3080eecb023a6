#!/usr/bin/env bash
# `npm start` serves the quick start on port 3000, and its pages answer.
set -euo pipefail
cd "$(dirname "$0")/.."

# A session of its own, so that npm, tsx and node end together.
setsid npm start &
group=$!
trap 'kill -- "-$group" 2>/dev/null || true' EXIT

for _ in $(seq 1 60); do
  if page=$(curl --silent --fail --location http://localhost:3000/); then
    grep -q 'Sign in with Acme Orders' <<<"$page"
    curl --silent --fail http://localhost:3000/.well-known/oauth-authorization-server/oauth | grep -q '"issuer":"http://localhost:3000/oauth"'
    echo 'ok npm start'
    exit 0
  fi
  sleep 0.5
done
echo 'npm start did not answer' >&2
exit 1
