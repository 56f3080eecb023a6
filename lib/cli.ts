#!/usr/bin/env node
import { generateKeyPairSync, randomBytes } from 'node:crypto';

const USAGE =
  'Usage: express-oauth-router init\n\nPrints a new secret and a new signing key as lines for an environment file.\n';

function init(): string {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwk = JSON.stringify({ ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig' });
  // Without quotes, which shells, Docker and dotenv treat each in its own way.
  const key = Buffer.from(jwk).toString('base64url');
  return `OAUTH_SECRET=${randomBytes(32).toString('base64url')}\nOAUTH_SIGNING_KEY=${key}\n`;
}

const [command, ...rest] = process.argv.slice(2);
if (command === 'init' && rest.length === 0) {
  process.stdout.write(init());
} else if (command === '--help' || command === 'help') {
  process.stdout.write(USAGE);
} else {
  process.stderr.write(USAGE);
  process.exitCode = 1;
}
