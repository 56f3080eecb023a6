import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** What one request to the token endpoint was, and what came of it: a line of a history. */
export interface Operation {
  readonly client: number;
  readonly kind: 'redeem' | 'refresh';
  readonly grant: string;
  /** The generation of the code or token that was presented. */
  readonly generation: number;
  /** Milliseconds from the beginning of the history. */
  readonly began: number;
  readonly ended: number;
  /** The status of the response; 0 if there was none. */
  readonly status: number;
  /** The generation of the refresh token in the response. */
  readonly result?: number;
  readonly error?: string;
}

/** Returns the grant and the generation that a code or a refresh token stands for. */
export function positionIn(token: string): { grant: string; generation: number } {
  const bytes = Buffer.from(token, 'base64url');
  return { grant: bytes.toString('base64url', 0, 16), generation: bytes.readUIntBE(16, 6) };
}

/** Writes a history as JSON lines, where a checker from outside finds it too. Returns the file. */
export function writeHistory(name: string, operations: readonly Operation[]): string {
  const folder =
    process.env.HISTORIES ?? path.join(__dirname, '..', '..', 'node_modules', '.cache', 'histories');
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, `${name.replace(/\W+/g, '-')}.jsonl`);
  writeFileSync(file, operations.map((operation) => `${JSON.stringify(operation)}\n`).join(''));
  return file;
}

export function readHistory(file: string): Operation[] {
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Operation);
}

/**
 * Returns what is wrong in a history of honest clients, which repeat what was not answered, and use the newest token that they have. The
 * rules are those of the models in `__tests__/grants`.
 */
export function problemsIn(history: readonly Operation[], { mayBreak = false } = {}): string[] {
  const grants = new Map<string, Operation[]>();
  for (const operation of history)
    grants.set(operation.grant, [...(grants.get(operation.grant) ?? []), operation]);
  return [
    ...history.flatMap((operation) => answerFault(operation, mayBreak)),
    ...[...grants.values()].flatMap(grantFaults),
  ];
}

function answerFault(operation: Operation, mayBreak: boolean): string[] {
  const { status, error, kind } = operation;
  const isFine =
    status === 200 || (status === 503 && error === 'temporarily_unavailable') || (status === 0 && mayBreak);
  // A code may have been redeemed by a request that was not answered: see below.
  const isSpent = kind === 'redeem' && status === 400 && error === 'invalid_grant';
  return isFine || isSpent ? [] : [`an unexpected answer: ${JSON.stringify(operation)}`];
}

function grantFaults(operations: readonly Operation[]): string[] {
  const faults: string[] = [];
  const successes = operations.filter(({ status }) => status === 200);
  const redemptions = successes.filter(({ kind }) => kind === 'redeem');
  if (redemptions.length > 1) faults.push(`a code was redeemed twice: ${JSON.stringify(redemptions)}`);
  const refused = operations.filter(({ kind, status }) => kind === 'redeem' && status === 400);
  const isUnsure = operations.some(
    ({ kind, status }) => kind === 'redeem' && status !== 200 && status !== 400,
  );
  if (refused.length > 0 && (redemptions.length > 0 || !isUnsure))
    faults.push(`a client was refused its code: ${JSON.stringify(operations)}`);
  for (const success of successes) {
    if (success.result !== success.generation + 1)
      faults.push(`a generation was left out: ${JSON.stringify(success)}`);
    // What was answered before a request began is what the request must find.
    const newest = Math.max(
      0,
      ...successes.filter(({ ended }) => ended < success.began).map(({ result = 0 }) => result),
    );
    if (success.generation < newest - 1)
      faults.push(`an old token was accepted after ${newest}: ${JSON.stringify(success)}`);
  }
  return faults;
}
