import type { ServerResponse } from 'node:http';

import { OAuthError } from '../errors';
import { noStore } from '../http/redirect';
import { VERIFICATION_ALGORITHMS } from '../tokens/algorithms';
import type { Scheme } from './presented-token';

/** The facts about a route that its challenges tell a client, so that it requests the right token. */
export interface RouteFacts {
  /** The scope values that a token needs. */
  readonly scope: readonly string[];
  /** The URL of the resource's metadata (RFC 9728 §5.1). */
  readonly resourceMetadata?: string | undefined;
  /** Whether the resource accepts only tokens that are bound by DPoP. */
  readonly requiresDpop?: boolean;
}

const NO_FACTS: RouteFacts = { scope: [] };
const DPOP_ERRORS: readonly string[] = ['invalid_dpop_proof', 'use_dpop_nonce'];
/** What a client must request so that its user signs in as required (RFC 9470 §3). */
const STEP_UP = ['acr_values', 'max_age'] as const;
const CHALLENGED: readonly string[] = [
  'invalid_token',
  'insufficient_scope',
  'insufficient_user_authentication',
  ...DPOP_ERRORS,
];

/** Responds 401 without an error code, because the request has no token (RFC 6750 §3.1). */
export function sendChallenge(res: ServerResponse, facts = NO_FACTS): void {
  noStore(res);
  res.statusCode = 401;
  res.setHeader('WWW-Authenticate', challenge(facts.requiresDpop ? 'DPoP' : 'Bearer', [], facts));
  res.end();
}

/** Converts an error to the form of a resource server, with a challenge (RFC 6750 §3, RFC 9449 §7.1, RFC 9470 §3). */
export function challenged(error: OAuthError, presented: Scheme, facts = NO_FACTS): OAuthError {
  if (!CHALLENGED.includes(error.code)) return error;
  const { code, description, reason, members } = error;
  const needsDpop = DPOP_ERRORS.includes(code) || error.challenge === 'DPoP' || facts.requiresDpop === true;
  const attributes: Attribute[] = [
    ['error', code],
    ['error_description', description],
    ...STEP_UP.map((name): Attribute => [name, members?.[name] as Attribute[1]]),
  ];
  return new OAuthError(code, description, {
    status: code === 'insufficient_scope' ? 403 : 401,
    challenge: challenge(needsDpop ? 'DPoP' : presented, attributes, facts),
    ...(reason !== undefined && { reason }),
  });
}

type Attribute = [name: string, value: string | number | undefined];

function challenge(
  scheme: Scheme,
  attributes: readonly Attribute[],
  { scope, resourceMetadata }: RouteFacts,
): string {
  const all: Attribute[] = [
    ...attributes,
    ['scope', scope.length > 0 ? scope.join(' ') : undefined],
    ['resource_metadata', resourceMetadata],
    ['algs', scheme === 'DPoP' ? VERIFICATION_ALGORITHMS.join(' ') : undefined],
  ];
  const written = all.flatMap(([name, value]) => (value === undefined ? [] : `${name}="${value}"`));
  return [scheme, written.join(', ')].join(' ').trim();
}
