import type { Request } from 'express';

import { OAuthError } from '../../lib/errors';
import { newAttempt, type Grant } from '../../lib/grants/grant';
import { parametersOf } from '../../lib/http/parameters';
import type { TokenSet } from '../../lib/token/issuer';
import { createRefreshTokenGrant } from '../../lib/token/refresh-token';
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

interface RefreshScenario extends Scenario {
  readonly tabs: number;
  readonly thief?: boolean;
  readonly revoker?: boolean;
}

/** Replaces parts of the model or of the code by wrong ones. */
interface Mistake extends StoreMistake {
  readonly create?: typeof createRefreshTokenGrant;
}

type Answer = { token: string } | { error: string };

/** Runs one schedule, and returns what is wrong. */
async function run(
  scenario: RefreshScenario,
  choose: Choose,
  mistake: Mistake = {},
): Promise<string | undefined> {
  const world = new World(mistake);
  const create = mistake.create ?? createRefreshTokenGrant;
  const grantType = create(grantTypeOptions(world));
  const id = 'AAAAAAAAAAAAAAAAAAAAAA';
  const base: Grant = {
    id,
    generation: 2,
    attempt: newAttempt(),
    clientId: 'web',
    userId: 'alice',
    scope: ['api'],
    resources: ['api'],
    createdAt: world.now - 86_400_000,
    rotatedAt: world.now,
    expiresAt: world.now + 30 * 86_400_000,
    absoluteExpiresAt: world.now + 365 * 86_400_000,
  };
  world.insert(base);
  // The token before is no longer within the leeway.
  world.now += 31_000;
  const store = world.store();

  async function refresh(token: string): Promise<Answer> {
    const reference = grantTokens.readRefreshToken(token)!;
    try {
      const grant = await store.getGrant(reference.grantId);
      const parameters = parametersOf([['refresh_token', token]]);
      const req = {} as Request;
      const tokens: TokenSet = await grantType.respond({
        client,
        parameters,
        reference,
        grant,
        confirmation: undefined,
        req,
      });
      return { token: tokens.refreshToken! };
    } catch (thrown) {
      return { error: thrown instanceof OAuthError ? thrown.code : String(thrown) };
    }
  }

  const state = {
    held: grantTokens.refreshToken(id, 2),
    inFlight: [] as string[],
    revoked: false,
    stolen: false,
  };
  const problems: string[] = [];

  /** A tab of the honest app: it repeats what was not answered. */
  async function tab(): Promise<void> {
    const presented = state.held;
    for (let attempt = 0; attempt < 3; attempt++) {
      state.inFlight.push(presented);
      const answer = await refresh(presented);
      state.inFlight.splice(state.inFlight.indexOf(presented), 1);
      if ('token' in answer) {
        // Another tab may have got a later one meanwhile.
        if (generationOf(answer.token) > generationOf(state.held)) state.held = answer.token;
        return;
      }
      if (answer.error === 'invalid_grant') {
        if (!state.revoked && !state.stolen && state.held === presented)
          problems.push('an honest tab was refused');
        return;
      }
      if (answer.error !== 'temporarily_unavailable') problems.push(`an honest tab got ${answer.error}`);
    }
  }
  async function thief(): Promise<void> {
    state.stolen = true;
    const answer = await refresh(grantTokens.refreshToken(id, 1));
    if ('token' in answer) problems.push('the thief got tokens');
  }
  async function revoker(): Promise<void> {
    state.revoked = true;
    await store.revokeGrant(id).catch(() => (state.revoked = true));
  }

  const actors: Actor[] = [
    ...Array.from({ length: scenario.tabs }, (): Actor => ['tab', tab]),
    ...(scenario.thief ? [['thief', thief] as const] : []),
    ...(scenario.revoker ? [['revoker', revoker] as const] : []),
  ];
  // The limits of the leeway: it covers one generation, and requests that take less time. A tab does not use a newer token while another
  // still presents an older one, and time does not pass meanwhile, nor between a write that has landed and its repetition.
  const isOverlapping = (): boolean => state.inFlight.some((token) => token !== state.held);
  const hasLanded = (): boolean => (world.read(id)?.generation ?? 0) > generationOf(state.held);
  const faults = await play(world, scenario, choose, {
    actors,
    mayBegin: (name) => name !== 'tab' || !isOverlapping(),
    mayPass: () => !hasLanded() && !isOverlapping(),
  });

  // Nothing fails any more: the app refreshes with what it holds.
  const answer = await undisturbed(world, refresh(state.held));
  const isOver = world.read(id) === undefined;
  if (!state.revoked && !state.stolen) {
    if (!('token' in answer)) problems.push(`the login was lost: ${answer.error}`);
    if (world.events.includes('refresh_token.reused')) problems.push('a false alarm');
  }
  if (state.stolen && world.events.includes('refresh_token.reused') && faults === 0 && !isOver)
    problems.push('a theft was noticed, and the grant lives');
  if (state.revoked && faults === 0 && ('token' in answer || !isOver))
    problems.push('what was revoked lives');
  return problems.length > 0 ? `${problems.join('; ')}: ${world.trace.join(', ')}` : undefined;
}

function generationOf(token: string): number {
  return grantTokens.readRefreshToken(token)!.generation;
}

const SCENARIOS: Record<string, RefreshScenario> = {
  'one app, one fault': { isWhole: true, tabs: 1, faults: 1, passes: 1, failovers: 0 },
  'one app, two faults': { isWhole: true, tabs: 1, faults: 2, passes: 1, failovers: 0 },
  'two tabs, one fault': { isWhole: true, tabs: 2, faults: 1, passes: 1, failovers: 0 },
  'three tabs, two faults': { tabs: 3, faults: 2, passes: 1, failovers: 0 },
  'two tabs and a failover': { tabs: 2, faults: 1, passes: 1, failovers: 1 },
  'two tabs and a thief': { isWhole: true, tabs: 2, faults: 0, passes: 1, failovers: 0, thief: true },
  'two tabs, a thief and a fault': { tabs: 2, faults: 1, passes: 1, failovers: 0, thief: true },
  'two tabs and a revocation': { isWhole: true, tabs: 2, faults: 0, passes: 1, failovers: 0, revoker: true },
};

const MISTAKES: [string, RefreshScenario, Mistake][] = [
  [
    'the age is counted by the clock that the writer had',
    SCENARIOS['one app, two faults']!,
    { age: () => undefined },
  ],
  ['the leeway never ends', SCENARIOS['two tabs and a thief']!, { age: () => 0 }],
  ['a write replaces whatever is there', SCENARIOS['two tabs and a revocation']!, { isBlind: true }],
  [
    'the record is not read again after a write without an answer',
    SCENARIOS['one app, one fault']!,
    { create: (options) => createRefreshTokenGrant({ ...options, store: naiveStore(options.store) }) },
  ],
];

describe('every interleaving of refreshes: no login is lost, no thief gets tokens, what is over stays so', () => {
  testModel(run, SCENARIOS, MISTAKES);
});
