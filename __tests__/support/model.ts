import type { Adapter, ReadGrant, StoredGrant } from '../../lib/adapters/contract';
import { createStore, type Store } from '../../lib/adapters/store';
import { resolveClient, type Client } from '../../lib/clients/client';
import type { EventReporter } from '../../lib/event-reporter';
import type { Grant } from '../../lib/grants/grant';
import type { GrantTypeOptions } from '../../lib/token/options';
import { createGrantTokens, type GrantTokens } from '../../lib/tokens/grant-token';

/**
 * The parts of a model. The code of `token/` and `grants/` runs as it is; what is modelled is everything around it: a store whose every
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
export const LEEWAY = 30;
const SCHEDULES = Number(process.env.MODEL_SCHEDULES ?? 8_000);
/** The store's clock and that of the processes do not agree. Milliseconds. */
const STORE_IS_AHEAD = 7_200_000;

interface Pending {
  readonly name: 'getGrant' | 'advanceGrant' | 'revokeGrant';
  execute(): unknown;
  settle(outcome: { result: unknown } | { error: Error }): void;
}

/** What may go wrong in a run. */
export interface Scenario {
  /** Whether all of its schedules are run; of the others a half from the beginning, and a half by chance. */
  readonly isWhole?: boolean;
  readonly faults: number;
  readonly passes: number;
  readonly failovers: number;
}

/** Replaces parts of the store by wrong ones. */
export interface StoreMistake {
  readonly age?: (age: number) => number | undefined;
  readonly isBlind?: boolean;
  /** The store says that it has removed a record, and keeps it. */
  readonly keeps?: boolean;
}

type Write = 'advance' | 'removal';

export type Choose = (options: number) => number;

export class World {
  now = 1_800_000_000_000;
  readonly events: string[] = [];
  readonly trace: string[] = [];
  private records = new Map<string, { record: string; since: number }>();
  private before = this.records;
  private last: Write | undefined;
  /** What failovers have undone. */
  readonly forgotten: Write[] = [];
  readonly pending: Pending[] = [];
  readonly late: Pending[] = [];
  readonly adapter: Adapter;

  constructor(private readonly mistake: StoreMistake) {
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
      // No single access token is revoked here.
      get: () => Promise.resolve(undefined),
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
    this.last = 'advance';
    return true;
  }

  private remove(id: string): boolean {
    this.before = new Map(this.records);
    this.last = this.records.has(id) ? 'removal' : undefined;
    return this.mistake.keeps ? this.records.has(id) : this.records.delete(id);
  }

  failOver(): void {
    this.records = new Map(this.before);
    if (this.last) this.forgotten.push(this.last);
    this.last = undefined;
  }

  /** The adapter, as the library calls it. */
  store(reporter: Pick<EventReporter, 'emit'> = { emit: () => undefined }): Store {
    return createStore(this.adapter, { timeout: 3600, clock: () => this.now, reporter });
  }
}

export const client: Client = resolveClient({ clientId: 'web', clientSecretHash: 'x', scope: 'api' });
export const grantTokens: GrantTokens = createGrantTokens(
  { current: ['a secret of the model, of more than 32 bytes'] },
  'https://model.example.com',
);

/** What the parts around a grant type are: they decide nothing in the model. */
export function grantTypeOptions(world: World): GrantTypeOptions {
  const reporter = {
    emit: (name: string) => world.events.push(name),
    failed: () => undefined,
  } as Partial<EventReporter> as EventReporter;
  const day = 86_400;
  const options = {
    store: world.store(reporter),
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
    audiences: { narrowed: () => ['api'], scope: () => ['api'], refuseMultiple: () => undefined },
    policies: {
      issuesRefreshToken: () => true,
      refreshTokenLeeway: () => LEEWAY,
      refreshTokenRotation: () => 'always',
      refreshTokenIdleLifetime: () => 30 * day,
      refreshTokenAbsoluteLifetime: () => 365 * day,
      accessTokenLifetime: () => 60,
    },
    keepClient: () => Promise.resolve(),
    clock: () => world.now,
    reporter,
  };
  return options as unknown as GrantTypeOptions;
}

export const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A party: what it does from when it begins. */
export type Actor = readonly [name: string, act: () => Promise<void>];

/** Lets the actors act in the order that `choose` says, until all is done. Returns the number of faults that happened. */
export async function play(
  world: World,
  scenario: Scenario,
  choose: Choose,
  {
    actors,
    mayBegin = () => true,
    mayPass = () => true,
  }: { actors: readonly Actor[]; mayBegin?: (name: string) => boolean; mayPass?: () => boolean },
): Promise<number> {
  const waiting = [...actors];
  const running: Promise<void>[] = [];
  const left = { faults: scenario.faults, passes: scenario.passes, failovers: scenario.failovers };

  for (let step = 0; step < 200; step++) {
    await settled();
    const actions = world.pending.flatMap((call) => actionsOn(world, call, left));
    for (const call of world.late) {
      actions.push([
        `land ${call.name}`,
        () => {
          world.late.splice(world.late.indexOf(call), 1);
          call.execute();
        },
      ]);
    }
    const [next] = waiting;
    if (next && mayBegin(next[0])) {
      actions.push([
        `begin ${next[0]}`,
        () => {
          waiting.shift();
          running.push(next[1]());
        },
      ]);
    }
    if (left.passes > 0 && mayPass()) {
      actions.push([
        'pass',
        () => {
          left.passes--;
          world.now += 31_000;
        },
      ]);
    }
    if (left.failovers > 0) {
      actions.push([
        'failover',
        () => {
          left.failovers--;
          world.failOver();
        },
      ]);
    }
    if (world.pending.length + world.late.length + waiting.length === 0) break;
    const [label, act] = actions[choose(actions.length)]!;
    world.trace.push(label);
    act();
  }
  await Promise.all(running);
  return scenario.faults - left.faults;
}

type Action = [label: string, act: () => void];

/** What may happen to a call. */
function actionsOn(world: World, call: Pending, left: { faults: number }): Action[] {
  const finish = (outcome: Parameters<Pending['settle']>[0]): void => {
    world.pending.splice(world.pending.indexOf(call), 1);
    call.settle(outcome);
  };
  const failed = { error: new Error('no answer') };
  const actions: Action[] = [[`answer ${call.name}`, () => finish({ result: call.execute() })]];
  if (left.faults === 0) return actions;
  const faulty = (label: string, act: () => void): void => {
    actions.push([
      `${label} ${call.name}`,
      () => {
        left.faults--;
        act();
      },
    ]);
  };
  faulty('refuse', () => finish(failed));
  if (call.name === 'getGrant') return actions;
  faulty('lose', () => {
    call.execute();
    finish(failed);
  });
  faulty('delay', () => {
    world.late.push(call);
    finish(failed);
  });
  faulty('repeat', () => {
    call.execute();
    finish({ result: call.execute() });
  });
  return actions;
}

/** Answers every call until something is done: nothing fails any more. */
export async function undisturbed<T>(world: World, done: Promise<T>): Promise<T> {
  for (let step = 0; step < 50; step++) {
    await settled();
    for (const call of world.pending.splice(0)) call.settle({ result: call.execute() });
  }
  return done;
}

/** Explores schedules depth first, then, if there are too many, by chance. */
async function explore(
  run: (choose: Choose) => Promise<string | undefined>,
  limit = SCHEDULES,
): Promise<{ schedules: number; isWhole: boolean; problem: string | undefined }> {
  let prefix: number[] = [];
  let schedules = 0;
  const attempt = async (choose: Choose): Promise<string | undefined> => {
    schedules++;
    return run(choose);
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

/** A store that believes every answer: an advance without one has failed, and nothing is read again after it. */
export function naiveStore(store: Store): Store {
  let isUnsure = false;
  return {
    ...store,
    advanceGrant: async (...args) => {
      const answer = await store.advanceGrant(...args).catch(() => undefined);
      isUnsure = answer !== true;
      return answer ?? false;
    },
    getGrant: async (grantId) => (isUnsure ? undefined : store.getGrant(grantId)),
  };
}

/** Tests that no schedule of some scenarios has a problem, and that mistakes have. */
export function testModel<S extends Scenario, Mistake>(
  run: (scenario: S, choose: Choose, mistake?: Mistake) => Promise<string | undefined>,
  scenarios: Readonly<Record<string, S>>,
  mistakes: readonly (readonly [name: string, scenario: S, mistake: Mistake])[],
): void {
  it.each(Object.entries(scenarios))(
    '%s',
    async (_, scenario) => {
      const { schedules, isWhole, problem } = await explore((choose) => run(scenario, choose));
      expect(problem).toBeUndefined();
      expect(schedules).toBeGreaterThan(5);
      if (scenario.isWhole) expect(isWhole).toBe(true);
      if (process.env.MODEL_SCHEDULES !== undefined) console.log(`${schedules} schedules`);
    },
    600_000,
  );

  it.each(mistakes)(
    'finds the mistake: %s',
    async (_, scenario, mistake) => {
      expect((await explore((choose) => run(scenario, choose, mistake))).problem).toBeDefined();
    },
    600_000,
  );
}
