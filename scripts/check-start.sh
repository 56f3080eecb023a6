#!/usr/bin/env bash
# Checks that `npm start` serves the quick start on port 3000, and that a second `npm start` reports that the port is taken.
set -euo pipefail
cd "$(dirname "$0")/.."

# In its own session, so that npm, tsx and node end together.
setsid npm start &
group=$!
trap 'kill -- "-$group" 2>/dev/null || true' EXIT

for _ in $(seq 1 60); do
  if page=$(curl --silent --fail --location http://localhost:3000/); then
    grep -q 'Sign in with Acme Orders' <<<"$page"
    curl --silent --fail http://localhost:3000/.well-known/oauth-authorization-server/oauth | grep -q '"issuer":"http://localhost:3000/oauth"'
    if taken=$(npm start 2>&1); then
      echo 'a second start did not fail' >&2
      exit 1
    fi
    grep -q 'Port 3000 is taken' <<<"$taken"
    echo 'ok npm start'
    exit 0
  fi
  sleep 0.5
done
echo 'npm start did not answer' >&2
exit 1
