import type { Request } from 'express';

import type { Adapter, ReadGrant, StoredGrant } from '../../lib/adapters/contract';
import { createStore } from '../../lib/adapters/store';
import { resolveClient } from '../../lib/clients/client';
import { OAuthError } from '../../lib/errors';
import type { EventReporter } from '../../lib/event-reporter';
import { newAttempt, type Grant } from '../../lib/grants/grant';
import { parametersOf } from '../../lib/http/parameters';
import type { GrantType, TokenSet } from '../../lib/token/grant-type';
import type { GrantTypeOptions } from '../../lib/token/options';
import * as refreshToken from '../../lib/token/refresh-token';
import { createGrantTokens, type GrantTokens } from '../../lib/tokens/grant-token';

/**
 * A model of refreshing. The code of `token/` and `grants/` runs as it is; what is modelled is everything around it: a store whose every
 * answer may be lost, late or given twice, a clock, and the parties. A schedule is a list of choices; the same choices give the same run.
 *
 * | action | stands for |
 * |---|---|
 * | answer | a call of the adapter that is executed and answered |
 * | lose | one that is executed, and whose answer is lost |
 * | refuse | one that fails, and is not executed |
 * | delay | one that fails for the caller, and is executed at some later step (`land`) |
 * | repeat | a write that the driver sends twice; the second answer counts |
 * | pass | 31 seconds, which is more than the leeway, on every clock |
 * | failover | the store forgets its last write |
 */
const LEEWAY = 30;
const SCHEDULES = Number(process.env.MODEL_SCHEDULES ?? 8_000);
/** The store's clock and that of the processes do not agree. Milliseconds. */
const STORE_IS_AHEAD = 7_200_000;

interface Pending {
  readonly name: 'getGrant' | 'advanceGrant' | 'revokeGrant';
  execute(): unknown;
  settle(outcome: { result: unknown } | { error: Error }): void;
}

interface Scenario {
  /** Whether all of its schedules are run; of the others a half from the beginning, and a half by chance. */
  readonly isWhole?: boolean;
  readonly tabs: number;
  readonly faults: number;
  readonly passes: number;
  readonly failovers: number;
  readonly thief?: boolean;
  readonly revoker?: boolean;
}

/** Replaces parts of the model or of the code by wrong ones. */
interface Mistake {
  readonly age?: (age: number) => number | undefined;
  readonly isBlind?: boolean;
  readonly create?: typeof refreshToken.createRefreshTokenGrant;
}

type Choose = (options: number) => number;

class World {
  now = 1_800_000_000_000;
  readonly events: string[] = [];
  readonly trace: string[] = [];
  private records = new Map<string, { record: string; since: number }>();
  private before = this.records;
  readonly pending: Pending[] = [];
  readonly late: Pending[] = [];
  readonly adapter: Adapter;

  constructor(private readonly mistake: Mistake) {
    const call = (name: Pending['name'], execute: () => unknown): Promise<never> =>
      new Promise((resolve, reject) => {
        this.pending.push({
          name,
          execute,
          settle: (outcome) =>
            'error' in outcome ? reject(outcome.error) : resolve(outcome.result as never),
        });
      });
    this.adapter = {
      getGrant: (id) => call('getGrant', () => this.read(id)),
      advanceGrant: (id, generation, next) => call('advanceGrant', () => this.advance(id, generation, next)),
      revokeGrant: (id) => call('revokeGrant', () => this.remove(id)),
    } as Partial<Adapter> as Adapter;
  }

  get storeNow(): number {
    return this.now + STORE_IS_AHEAD;
  }

  read(id: string): ReadGrant | undefined {
    const kept = this.records.get(id);
    if (!kept) return undefined;
    const age = this.storeNow - kept.since;
    return { ...(JSON.parse(kept.record) as StoredGrant), age: (this.mistake.age ?? ((same) => same))(age) };
  }

  insert(grant: Grant): void {
    this.records.set(grant.id, { record: JSON.stringify(grant), since: this.storeNow });
    this.before = new Map(this.records);
  }

  private advance(id: string, generation: number, next: StoredGrant): boolean {
    const stored = this.read(id);
    if (stored?.generation !== generation && !this.mistake.isBlind) return false;
    this.before = new Map(this.records);
    const isYoung = stored?.generation !== next.generation;
    const since = isYoung ? this.storeNow : (this.records.get(id)?.since ?? this.storeNow);
    this.records.set(id, { record: JSON.stringify(next), since });
    return true;
  }

  private remove(id: string): boolean {
    this.before = new Map(this.records);
    return this.records.delete(id);
  }

  failOver(): void {
    this.records = new Map(this.before);
  }
}

const client = resolveClient({ clientId: 'web', clientSecretHash: 'x', scope: 'api' });
const grantTokens: GrantTokens = createGrantTokens(
  { current: ['a secret of the model, of more than 32 bytes'] },
  'https://model.example.com',
);

/** What the parts around the grant type are: they decide nothing in the model. */
function grantTypeOf(world: World, create: typeof refreshToken.createRefreshTokenGrant): GrantType {
  const reporter = {
    emit: (name: string) => world.events.push(name),
    failed: () => undefined,
  } as Partial<EventReporter> as EventReporter;
  const clock = (): number => world.now;
  const day = 86_400;
  const options = {
    store: createStore(world.adapter, { timeout: 3600, clock, reporter }),
    grantTokens,
    issue: () =>
      Promise.resolve({
        accessToken: 'x',
        tokenType: 'Bearer',
        jti: 'x',
        expiresIn: 60,
        expiresAt: world.now + 60_000,
        members: {},
      }),
    audiences: { narrowed: () => ['api'], scope: () => ['api'] },
    policies: {
      refreshTokenLeeway: () => LEEWAY,
      refreshTokenRotation: () => 'always',
      refreshTokenIdleLifetime: () => 30 * day,
      refreshTokenAbsoluteLifetime: () => 365 * day,
      accessTokenLifetime: () => 60,
    },
    keepClient: () => Promise.resolve(),
    clock,
    reporter,
  };
  return create(options as unknown as GrantTypeOptions);
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

type Answer = { token: string } | { error: string };

/** Runs one schedule, and returns what is wrong. */
async function run(scenario: Scenario, choose: Choose, mistake: Mistake): Promise<string | undefined> {
  const world = new World(mistake);
  const grantType = grantTypeOf(world, mistake.create ?? refreshToken.createRefreshTokenGrant);
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
  const store = createStore(world.adapter, {
    timeout: 3600,
    clock: () => world.now,
    reporter: { emit: () => undefined },
  });

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

  const waitingActors: [string, () => Promise<void>][] = [
    ...Array.from({ length: scenario.tabs }, (): [string, () => Promise<void>] => ['tab', tab]),
    ...(scenario.thief ? [['thief', thief] as [string, () => Promise<void>]] : []),
    ...(scenario.revoker ? [['revoker', revoker] as [string, () => Promise<void>]] : []),
  ];
  const running: Promise<void>[] = [];
  let { faults, passes, failovers } = scenario;

  for (let step = 0; step < 200; step++) {
    await settled();
    const actions: [string, () => void][] = [];
    const finish = (call: Pending, outcome: Parameters<Pending['settle']>[0]): void => {
      world.pending.splice(world.pending.indexOf(call), 1);
      call.settle(outcome);
    };
    const failed = { error: new Error('no answer') };
    for (const call of world.pending) {
      actions.push([`answer ${call.name}`, () => finish(call, { result: call.execute() })]);
      if (faults === 0) continue;
      const faulty = (label: string, act: () => void): void => {
        actions.push([
          `${label} ${call.name}`,
          () => {
            faults--;
            act();
          },
        ]);
      };
      faulty('refuse', () => finish(call, failed));
      if (call.name === 'getGrant') continue;
      faulty('lose', () => {
        call.execute();
        finish(call, failed);
      });
      faulty('delay', () => {
        world.late.push(call);
        finish(call, failed);
      });
      faulty('repeat', () => {
        call.execute();
        finish(call, { result: call.execute() });
      });
    }
    for (const call of world.late) {
      actions.push([
        `land ${call.name}`,
        () => {
          world.late.splice(world.late.indexOf(call), 1);
          call.execute();
        },
      ]);
    }
    // The limits of the leeway: it covers one generation, and requests that take less time. A tab does not use a newer token while another
    // still presents an older one, and time does not pass meanwhile, nor between a write that has landed and its repetition.
    const isOverlapping = state.inFlight.some((token) => token !== state.held);
    const hasLanded = (world.read(id)?.generation ?? 0) > generationOf(state.held);
    const [nextActor] = waitingActors;
    if (nextActor && !(isOverlapping && nextActor[0] === 'tab')) {
      actions.push([
        `begin ${nextActor[0]}`,
        () => {
          waitingActors.shift();
          running.push(nextActor[1]());
        },
      ]);
    }
    if (passes > 0 && !hasLanded && !isOverlapping) {
      actions.push([
        'pass',
        () => {
          passes--;
          world.now += 31_000;
        },
      ]);
    }
    if (failovers > 0) {
      actions.push([
        'failover',
        () => {
          failovers--;
          world.failOver();
        },
      ]);
    }
    if (world.pending.length + world.late.length + waitingActors.length === 0) break;
    const [label, act] = actions[choose(actions.length)]!;
    world.trace.push(label);
    act();
  }
  await Promise.all(running);

  // Nothing fails any more: the app refreshes with what it holds.
  const final = refresh(state.held);
  for (let step = 0; step < 50; step++) {
    await settled();
    for (const call of world.pending.splice(0)) call.settle({ result: call.execute() });
  }
  const answer = await final;
  const isOver = world.read(id) === undefined;
  if (!state.revoked && !state.stolen) {
    if (!('token' in answer)) problems.push(`the login was lost: ${answer.error}`);
    if (world.events.includes('refresh_token.reused')) problems.push('a false alarm');
  }
  if (state.stolen && world.events.includes('refresh_token.reused') && faults === scenario.faults && !isOver)
    problems.push('a theft was noticed, and the grant lives');
  if (state.revoked && faults === scenario.faults && ('token' in answer || !isOver))
    problems.push('what was revoked lives');
  return problems.length > 0 ? `${problems.join('; ')}: ${world.trace.join(', ')}` : undefined;
}

function generationOf(token: string): number {
  return grantTokens.readRefreshToken(token)!.generation;
}

/** Explores schedules depth first, then, if there are too many, by chance. */
async function explore(
  scenario: Scenario,
  mistake: Mistake = {},
  limit = SCHEDULES,
): Promise<{ schedules: number; isWhole: boolean; problem: string | undefined }> {
  let prefix: number[] = [];
  let schedules = 0;
  const attempt = async (choose: Choose): Promise<string | undefined> => {
    schedules++;
    return run(scenario, choose, mistake);
  };
  while (schedules < limit / 2) {
    const taken: [choice: number, options: number][] = [];
    const problem = await attempt((options) => {
      const choice = prefix[taken.length] ?? 0;
      taken.push([choice, options]);
      return choice;
    });
    if (problem !== undefined) return { schedules, isWhole: false, problem };
    while (taken.length > 0 && taken.at(-1)![0] + 1 >= taken.at(-1)![1]) taken.pop();
    if (taken.length === 0) return { schedules, isWhole: true, problem: undefined };
    prefix = taken.map(([choice]) => choice);
    prefix[prefix.length - 1]!++;
  }
  let seed = Number(process.env.MODEL_SEED ?? 20_261_126);
  while (schedules < limit) {
    const start = seed;
    const problem = await attempt((options) => {
      // A linear congruence is random enough to choose.
      seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((seed / 2_147_483_648) * options);
    });
    if (problem !== undefined)
      return { schedules, isWhole: false, problem: `MODEL_SEED=${start}: ${problem}` };
  }
  return { schedules, isWhole: false, problem: undefined };
}

const SCENARIOS: Record<string, Scenario> = {
  'one app, one fault': { isWhole: true, tabs: 1, faults: 1, passes: 1, failovers: 0 },
  'one app, two faults': { isWhole: true, tabs: 1, faults: 2, passes: 1, failovers: 0 },
  'two tabs, one fault': { isWhole: true, tabs: 2, faults: 1, passes: 1, failovers: 0 },
  'three tabs, two faults': { tabs: 3, faults: 2, passes: 1, failovers: 0 },
  'two tabs and a failover': { tabs: 2, faults: 1, passes: 1, failovers: 1 },
  'two tabs and a thief': { isWhole: true, tabs: 2, faults: 0, passes: 1, failovers: 0, thief: true },
  'two tabs, a thief and a fault': { tabs: 2, faults: 1, passes: 1, failovers: 0, thief: true },
  'two tabs and a revocation': { isWhole: true, tabs: 2, faults: 0, passes: 1, failovers: 0, revoker: true },
};

describe('every interleaving of refreshes, as far as it was explored', () => {
  it.each(Object.entries(SCENARIOS))(
    '%s: no login is lost, no thief gets tokens, what is over stays so',
    async (_, scenario) => {
      const { schedules, isWhole, problem } = await explore(scenario);
      expect(problem).toBeUndefined();
      expect(schedules).toBeGreaterThan(30);
      if (scenario.isWhole) expect(isWhole).toBe(true);
      if (process.env.MODEL_SCHEDULES !== undefined) console.log(`${schedules} schedules`);
    },
    600_000,
  );

  const { createRefreshTokenGrant } = jest.requireActual<typeof refreshToken>(
    '../../lib/token/refresh-token',
  );
  const MISTAKES: [string, Scenario, Mistake][] = [
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
      { create: naive(createRefreshTokenGrant) },
    ],
  ];
  it.each(MISTAKES)(
    'finds the mistake: %s',
    async (_, scenario, mistake) => {
      expect((await explore(scenario, mistake)).problem).toBeDefined();
    },
    600_000,
  );
});

/** A grant type that believes every answer of the store: an advance without one has failed. */
function naive(
  create: typeof refreshToken.createRefreshTokenGrant,
): typeof refreshToken.createRefreshTokenGrant {
  return (options) => {
    let isUnsure = false;
    const { getGrant, advanceGrant } = options.store;
    const store = {
      ...options.store,
      advanceGrant: async (...args: Parameters<typeof advanceGrant>) => {
        const answer = await advanceGrant(...args).catch(() => undefined);
        isUnsure = answer !== true;
        return answer ?? false;
      },
      getGrant: async (id: string) => {
        if (isUnsure) return undefined;
        return getGrant(id);
      },
    };
    return create({ ...options, store });
  };
}
