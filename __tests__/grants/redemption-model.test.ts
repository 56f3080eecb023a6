import { createHash } from 'node:crypto';

import type { Request } from 'express';

import type { ClientRegistry } from '../../lib/clients/registry';
import { OAuthError } from '../../lib/errors';
import { newAttempt, type Grant } from '../../lib/grants/grant';
import { createTokenStatus } from '../../lib/grants/status';
import { parametersOf } from '../../lib/http/parameters';
import { createAuthorizationCodeGrant } from '../../lib/token/authorization-code';
import { createRefreshTokenGrant } from '../../lib/token/refresh-token';
import type { GrantTokens } from '../../lib/tokens/grant-token';
import {
  client,
  grantTokens,
  grantTypeOptions,
  naiveStore,
  play,
  testModel,
  undisturbed,
  World,
  type Actor,
  type Choose,
  type Scenario,
  type StoreMistake,
} from '../support/model';

interface RedemptionScenario extends Scenario {
  /** How often the app's page submits the code: it repeats what was not answered. */
  readonly tabs: number;
  /** One who has seen the code, but not its verifier. */
  readonly observer?: boolean;
  readonly revoker?: boolean;
}

/** Replaces parts of the model or of the code by wrong ones. */
interface Mistake extends StoreMistake {
  readonly create?: typeof createAuthorizationCodeGrant;
  /** The status of an access token is decided by the grant as it was when the code was issued. */
  readonly remembersGrant?: boolean;
}

const id = 'AAAAAAAAAAAAAAAAAAAAAA';
const code = grantTokens.code(id);
const redirectUri = 'https://app.example.com/callback';
const verifier = 'v'.repeat(43);
const challenge = createHash('sha256').update(verifier).digest('base64url');

type Answer = { token: string } | { error: string };

/** Runs one schedule, and returns what is wrong. */
async function run(
  scenario: RedemptionScenario,
  choose: Choose,
  mistake: Mistake = {},
): Promise<string | undefined> {
  const world = new World(mistake);
  const options = grantTypeOptions(world);
  const create = mistake.create ?? createAuthorizationCodeGrant;
  const grantTypes = { code: create(options), refresh: createRefreshTokenGrant(options) };
  const unspent: Grant = {
    id,
    generation: 0,
    attempt: newAttempt(),
    clientId: 'web',
    userId: 'alice',
    scope: ['api'],
    resources: ['api'],
    createdAt: world.now,
    expiresAt: world.now + 60_000,
    codeChallenge: challenge,
    redirectUri,
    redirectUriGiven: true,
  };
  world.insert(unspent);
  const store = world.store();
  const status = createTokenStatus({
    store: mistake.remembersGrant ? { ...store, getGrant: () => Promise.resolve(unspent) } : store,
    registry: { find: () => Promise.resolve({ client }) } as unknown as ClientRegistry,
    accessTokens: { isSignedBySecret: () => false },
    clock: () => world.now,
  });

  async function ask(
    grantType: keyof typeof grantTypes,
    parameters: Record<string, string>,
  ): Promise<Answer> {
    const { respond, reference } = grantTypes[grantType];
    const given = parametersOf(Object.entries(parameters));
    try {
      const found = reference!(given)!;
      const grant = await store.getGrant(found.grantId);
      const request = { client, parameters: given, reference: found, grant, confirmation: undefined };
      const tokens = await respond({ ...request, req: {} as Request });
      return { token: tokens.refreshToken! };
    } catch (thrown) {
      return { error: thrown instanceof OAuthError ? thrown.code : String(thrown) };
    }
  }

  const problems: string[] = [];
  const won: string[] = [];
  const state = { isRevoked: false };

  async function tab(): Promise<void> {
    for (let attempt = 0; attempt < 2; attempt++) {
      const answer = await ask('code', { code, redirect_uri: redirectUri, code_verifier: verifier });
      if ('token' in answer) return void won.push(answer.token);
      if (answer.error === 'invalid_grant') return;
      if (answer.error !== 'temporarily_unavailable') problems.push(`the app got ${answer.error}`);
    }
  }
  async function observer(): Promise<void> {
    const guess = 'w'.repeat(43);
    const answer = await ask('code', { code, redirect_uri: redirectUri, code_verifier: guess });
    if ('token' in answer) problems.push('the observer got tokens');
  }
  async function revoker(): Promise<void> {
    await store.revokeGrant(id).catch(() => undefined);
    state.isRevoked = true;
  }

  const actors: Actor[] = [
    ...Array.from({ length: scenario.tabs }, (): Actor => ['tab', tab]),
    ...(scenario.observer ? [['observer', observer] as const] : []),
    ...(scenario.revoker ? [['revoker', revoker] as const] : []),
  ];
  const faults = await play(world, scenario, choose, { actors });

  const claims = { jti: `${id}.x`, client_id: 'web', iat: 0, exp: world.now / 1000 + 60 };
  const isLive = (await undisturbed(world, status(claims))) !== undefined;
  const record = world.read(id);
  // A store that has forgotten a redemption lets the code be redeemed again: both have the same login.
  if (new Set(won).size > 1) problems.push('there are two logins');
  const redemptions = 1 + world.forgotten.filter((write) => write === 'advance').length;
  if (won.length > redemptions) problems.push('the code was redeemed twice');
  if (isLive && record === undefined) problems.push('the access token of an ended grant is live');
  const hasEnded = world.events.includes('grant.revoked');
  if (hasEnded && record !== undefined && !world.forgotten.includes('removal'))
    problems.push('a grant that was ended is there');
  if (state.isRevoked && faults === 0 && record !== undefined) problems.push('what was revoked lives');

  const [token] = won;
  const isDisturbed = scenario.observer === true || scenario.revoker === true;
  const isKept = record?.generation !== 0 || redemptions === 1;
  if (token !== undefined && !isDisturbed && !hasEnded && isKept) {
    const answer = await undisturbed(world, ask('refresh', { refresh_token: token }));
    if (!('token' in answer)) problems.push(`the login was lost: ${answer.error}`);
  }
  // One page, whose only request was answered late or not at all, and that repeats it: no write of it is still on its way.
  const isAlone = scenario.tabs === 1 && !isDisturbed && scenario.passes === 0;
  const isLate = world.trace.some((step) => step.startsWith('delay'));
  if (isAlone && faults <= 1 && !isLate && token === undefined) problems.push('the app got no tokens');
  return problems.length > 0 ? `${problems.join('; ')}: ${world.trace.join(', ')}` : undefined;
}

const SCENARIOS: Record<string, RedemptionScenario> = {
  'one page, one fault': { isWhole: true, tabs: 1, faults: 1, passes: 0, failovers: 0 },
  'one page, two faults': { isWhole: true, tabs: 1, faults: 2, passes: 1, failovers: 0 },
  'a page that submits twice': { isWhole: true, tabs: 2, faults: 1, passes: 0, failovers: 0 },
  'a page that submits twice, maybe later': { tabs: 2, faults: 1, passes: 1, failovers: 0 },
  'a page that submits three times': { tabs: 3, faults: 1, passes: 1, failovers: 0 },
  'an observer': { isWhole: true, tabs: 1, faults: 1, passes: 1, failovers: 0, observer: true },
  'an observer and a page that submits twice': {
    tabs: 2,
    faults: 1,
    passes: 0,
    failovers: 0,
    observer: true,
  },
  'a page that submits twice, and a failover': {
    isWhole: true,
    tabs: 2,
    faults: 0,
    passes: 1,
    failovers: 1,
  },
  'one page, a fault and a failover': { isWhole: true, tabs: 1, faults: 1, passes: 0, failovers: 1 },
  'a failover and a fault': { tabs: 2, faults: 1, passes: 1, failovers: 1 },
  'an observer and a failover': { tabs: 1, faults: 1, passes: 0, failovers: 1, observer: true },
  'a revocation': { isWhole: true, tabs: 2, faults: 0, passes: 1, failovers: 0, revoker: true },
};

const MISTAKES: [string, RedemptionScenario, Mistake][] = [
  ['a write replaces whatever is there', SCENARIOS['a page that submits twice']!, { isBlind: true }],
  ['what is ended is kept', SCENARIOS['an observer']!, { keeps: true }],
  ['the status does not look at the grant anew', SCENARIOS['an observer']!, { remembersGrant: true }],
  [
    'the record is not read again after a write without an answer',
    SCENARIOS['one page, one fault']!,
    { create: (options) => createAuthorizationCodeGrant({ ...options, store: naiveStore(options.store) }) },
  ],
  [
    'a write replaces whatever is there, and nothing was forgotten',
    SCENARIOS['a page that submits twice, and a failover']!,
    { isBlind: true },
  ],
  [
    'each redemption has a login of its own',
    SCENARIOS['a page that submits twice, and a failover']!,
    { create: (options) => createAuthorizationCodeGrant({ ...options, grantTokens: countingTokens() }) },
  ],
];

function countingTokens(): GrantTokens {
  let issued = 0;
  return {
    ...grantTokens,
    refreshToken: (grantId, generation) => grantTokens.refreshToken(grantId, generation + issued++),
  };
}

describe('every interleaving of redemptions: one succeeds at most until the store forgets it, and nothing of a grant that has ended is live', () => {
  testModel(run, SCENARIOS, MISTAKES);
});
