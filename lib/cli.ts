#!/usr/bin/env node
import { randomBytes, type KeyObject } from 'node:crypto';

import { generatePrivateKey } from './tokens/generated-key';

const USAGE =
  'Usage: express-oauth-router init\n\n' +
  'Prints a new secret and two new signing keys as lines for an environment file: an ES256 key for access tokens,\n' +
  'and an RS256 key for ID tokens, which most OpenID Connect clients expect.\n';

function init(): string {
  const lines = [
    `OAUTH_SECRET=${randomBytes(32).toString('base64url')}`,
    `OAUTH_SIGNING_KEY=${printed(generatePrivateKey('ES256'), 'ES256')}`,
    `OAUTH_RSA_KEY=${printed(generatePrivateKey('RS256'), 'RS256')}`,
  ];
  return `${lines.join('\n')}\n`;
}

/** Encodes a key as base64url of its JWK: it needs no quotes, which shells, Docker and dotenv treat differently. */
function printed(key: KeyObject, alg: string): string {
  return Buffer.from(JSON.stringify({ ...key.export({ format: 'jwk' }), alg, use: 'sig' })).toString(
    'base64url',
  );
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
