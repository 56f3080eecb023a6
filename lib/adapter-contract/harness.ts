import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';

import {
  OPTIONAL_FUNCTIONS,
  type Adapter,
  type ClientMetadata,
  type StoredGrant,
} from '../adapters/contract';
import type { Awaitable } from '../host/call';
import { withoutNulls } from '../json';

/** An adapter for one test. Its storage need not be empty. */
export interface AdapterUnderTest {
  /** The adapter. */
  adapter: Adapter;
  /**
   * Returns another adapter on the same storage, best one in another process: see `serveAdapter`. A driver that reads and then writes
   * without waiting in between shows that there only.
   */
  other?(): Awaitable<Adapter>;
  /** Runs the clean-up of the storage, as if this much time had passed. */
  sweep?(seconds: number): unknown;
  /** Returns an adapter of the same kind whose storage cannot be reached. */
  unreachable?(): Awaitable<Adapter>;
  /** Moves the adapter's clock forward. Without this function, the suite waits about a second where time must pass. */
  advance?(seconds: number): void | Promise<void>;
  /** Releases the adapter after the test. */
  close?(): unknown;
}

/** The functions of a test runner, as jest, vitest, mocha and `node:test` have them. */
export interface TestFunctions {
  /** Defines a group of tests. */
  describe(name: string, define: () => void): unknown;
  /** Defines a test. */
  it: {
    (name: string, run: () => Promise<void>): unknown;
    /** Defines a test that is not run. Without it, the name of such a test says so. */
    skip?(name: string, run: () => Promise<void>): unknown;
  };
}

/** What an adapter may lack: an optional function of the contract but `close`, which is the host's, or one of {@link AdapterUnderTest}. */
export type Lacking =
  | Exclude<
      { [Name in keyof Adapter]-?: undefined extends Adapter[Name] ? Name : never }[keyof Adapter],
      'close'
    >
  | 'other'
  | 'sweep'
  | 'unreachable';

/** The options of `adapterContract`. */
export interface AdapterContractOptions {
  /** What the adapter lacks. The tests that need it are skipped; anything else that is missing is a failure. @defaultValue `[]` */
  without?: readonly Lacking[];
}

/** The parts of a test. */
export interface Parts {
  /** The adapter. The functions that the test needs are there. */
  readonly adapter: Required<Adapter>;
  /** Lets time pass. */
  pass(seconds: number): Promise<void>;
  other(): Promise<Adapter>;
  unreachable(): Promise<Adapter>;
  sweep(seconds: number): Promise<void>;
}

/** Defines a test that needs some of the optional functions. */
export type DefineTest = (
  name: string,
  needs: readonly Lacking[],
  run: (parts: Parts) => Promise<void>,
) => void;

const BESIDE_THE_ADAPTER = ['other', 'sweep', 'unreachable'] as const;

/** @throws TypeError for an unknown name in `without` */
export function createDefineTest(
  create: () => Awaitable<AdapterUnderTest>,
  { it }: TestFunctions,
  { without = [] }: AdapterContractOptions,
): DefineTest {
  const functions = OPTIONAL_FUNCTIONS.filter((name) => name !== 'close');
  const names: readonly string[] = [...functions, ...BESIDE_THE_ADAPTER];
  const unknown = without.find((name) => !names.includes(name));
  if (unknown !== undefined)
    throw new TypeError(`without: there is no ${unknown} in the contract of adapters`);

  return (name, needs, run) => {
    const lacking = needs.filter((need) => without.includes(need));
    if (lacking.length > 0) {
      const skipped = `${name} (skipped: without ${lacking.join(', ')})`;
      const nothing = (): Promise<void> => Promise.resolve();
      // The runner of whoever tests an adapter reports it; the adapters of this package have no such test.
      (it.skip ?? it)(skipped, nothing);
      return;
    }
    it(name, async () => {
      const underTest = await create();
      try {
        for (const need of needs) requirePresent(underTest, need);
        await run(partsOf(underTest));
      } finally {
        await underTest.close?.();
      }
    });
  };
}

/** Whether an adapter has what it may lack. */
export function isPresent(underTest: AdapterUnderTest, need: Lacking): boolean {
  const place: object = isBeside(need) ? underTest : underTest.adapter;
  return (place as Partial<Record<Lacking, unknown>>)[need] !== undefined;
}

function isBeside(need: Lacking): need is (typeof BESIDE_THE_ADAPTER)[number] {
  return BESIDE_THE_ADAPTER.some((name) => name === need);
}

function requirePresent(underTest: AdapterUnderTest, need: Lacking): void {
  assert.ok(isPresent(underTest, need), `${need}() is missing: add it, or name it in "without"`);
}

function partsOf({ adapter, advance, sweep, other, unreachable }: AdapterUnderTest): Parts {
  const absent = (): never => assert.fail('the test has not said what it needs');
  return {
    adapter: adapter as Required<Adapter>,
    pass: async (seconds) => {
      if (advance) await advance(seconds);
      else await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    },
    other: async () => (other ?? absent)(),
    unreachable: async () => (unreachable ?? absent)(),
    sweep: async (seconds) => {
      await (sweep ?? absent)(seconds);
    },
  };
}

/** Milliseconds. */
export const HOUR = 3_600_000;
/** In milliseconds more than a number of 32 bits or a timer can hold. Seconds. */
export const LONG = 30 * 86_400;

/** Keys and ids that break a careless adapter: separators, braces, glob characters, markup, characters of several bytes. */
export const AWKWARD = ['a:b', '{a}', 'a}b{', '*', 'a b', '%', "'; --", '__proto__', 'ü€😀', 'x'.repeat(500)];

/** Names that a careless adapter takes for the same. */
export const ALIKE: readonly (readonly [string, string])[] = [
  ['a', 'A'],
  ['a', 'a '],
  ['a', ' a'],
  ['1', '01'],
  ['é', 'e\u0301'],
  ['ß', 'ss'],
  [`${'x'.repeat(230)}a`, `${'x'.repeat(230)}b`],
  [`${'x'.repeat(500)}a`, `${'x'.repeat(500)}b`],
];

/** Those of {@link ALIKE} that can end the id of a client. */
export const ALIKE_CLIENTS = ALIKE.filter((names) =>
  names.every((name) => /^[\x20-\x7e]{1,232}$/.test(name)),
);

const RACERS = 25;
/** How many races two processes have. */
export const RACES = 200;

export function racers<T>(run: (racer: string) => T | Promise<T>): Promise<T>[] {
  return Array.from({ length: RACERS }, async (_, position) => run(String(position)));
}

/**
 * Lets two adapters race for each of many items, and returns the number of winners of each item. The other one, which may be in another
 * process, begins. Whoever comes second is quicker, because it writes nothing, and so catches up: then they meet.
 */
export async function winners<Item>(
  { adapter, other }: Parts,
  items: readonly Item[],
  attempt: (adapter: Adapter, item: Item, racer: number) => Awaitable<boolean>,
): Promise<number[]> {
  const adapters = [await other(), adapter];
  // A process that is starting would come too late.
  await Promise.all(adapters.map(async (own) => own.get(unique())));
  const results = await Promise.all(
    adapters.map((own, racer) =>
      Promise.all(
        // A write that is refused because of another one is no success.
        items.map(async (item) => attempt(own, item, racer)).map((won) => won.catch(() => false)),
      ),
    ),
  );
  return items.map((_, position) => results.filter((won) => won[position]).length);
}

export function assertOneWinnerEach(counts: readonly number[]): void {
  assert.deepEqual(
    counts,
    counts.map(() => 1),
  );
}

export function assertGrants(actual: readonly StoredGrant[], expected: readonly StoredGrant[]): void {
  const byId = (one: StoredGrant, other: StoredGrant): number => (one.id < other.id ? -1 : 1);
  assert.deepEqual(
    // A list of a native driver may have been made in another realm than the tests of a runner.
    [...actual].map((grant) => withoutNulls(grant)).sort((one, other) => byId(one as never, other as never)),
    [...expected].sort(byId),
  );
}

/** Asserts that a stored object was returned. A missing member may be `null`, as in the row of a database. */
export function assertSame(actual: object | undefined | null, expected: object): void {
  // The age is beside what was stored.
  const { age: _, ...stored }: { age?: unknown } = actual ? withoutNulls(actual) : {};
  assert.deepEqual(actual && stored, expected);
}

export function assertNothing(actual: unknown): void {
  assert.equal(actual ?? undefined, undefined);
}

/** Exchanges small and capital letters. */
export function swapCase(text: string): string {
  return text.replace(/[a-z]/gi, (letter) => (letter > 'Z' ? letter.toUpperCase() : letter.toLowerCase()));
}

export function unique(): string {
  return randomBytes(16).toString('base64url');
}

export function someClient(): ClientMetadata {
  return { clientId: unique(), redirectUris: ['https://a.example/cb'], scope: 'a b', firstParty: true };
}

export function newGrant(userId: string | null = unique()): StoredGrant {
  const grant = { id: unique(), generation: 0, clientId: 'client', expiresAt: Date.now() + HOUR };
  return userId === null ? grant : { ...grant, userId };
}
