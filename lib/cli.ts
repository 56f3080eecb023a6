#!/usr/bin/env node
import { generateKeyPairSync, randomBytes } from 'node:crypto';

const USAGE =
  'Usage: express-oauth-router init\n\nPrints a new secret and a new signing key as lines for an environment file.\n';

function init(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = JSON.stringify({ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' });
  return `OAUTH_SECRET=${randomBytes(32).toString('base64url')}\nOAUTH_SIGNING_KEY='${jwk}'\n`;
}

const [command, ...rest] = process.argv.slice(2);
if (command === 'init' && rest.length === 0) {
  process.stdout.write(init());
} else {
  process.stderr.write(USAGE);
  process.exitCode = 1;
}
