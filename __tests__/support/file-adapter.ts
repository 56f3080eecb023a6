import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';

import type { Adapter, StoredGrant } from 'express-oauth-router';

interface Value {
  readonly value: string;
  /** Epoch milliseconds. */
  readonly until: number;
}

/**
 * An adapter on files, which reads and writes without waiting in between, as a synchronous driver does. A lock between processes makes that
 * one step; `unlocked` names a function that goes without.
 */
export function fileAdapter(directory: string, unlocked?: string): Adapter {
  const file = (kind: string, key: string): string =>
    path.join(directory, `${kind}-${createHash('sha256').update(key).digest('hex')}`);
  const read = (name: string): unknown =>
    existsSync(name) ? JSON.parse(readFileSync(name, 'utf8')) : undefined;
  const write = (name: string, content: unknown): void => writeFileSync(name, JSON.stringify(content));
  const live = (name: string): Value | undefined => {
    const found = read(name) as Value | undefined;
    return found && found.until > Date.now() ? found : undefined;
  };

  /** The time between a read and a write, so long that two processes meet in it on a busy machine too. */
  const gap = (name: string): void => {
    if (name === unlocked) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
  };

  function locked<T>(name: string, run: () => T): T {
    if (name === unlocked) return run();
    const lock = path.join(directory, 'lock');
    while (!isMade(lock));
    try {
      return run();
    } finally {
      rmdirSync(lock);
    }
  }

  return {
    getClient: () => undefined,
    saveGrant: (grant) =>
      locked('saveGrant', () => {
        const name = file('grant', grant.id);
        if (read(name) !== undefined) throw new Error('the grant exists');
        gap('saveGrant');
        write(name, grant);
      }),
    getGrant: (grantId) => locked('getGrant', () => read(file('grant', grantId)) as StoredGrant),
    advanceGrant: (grantId, generation, next) =>
      locked('advanceGrant', () => {
        const name = file('grant', grantId);
        if ((read(name) as StoredGrant | undefined)?.generation !== generation) return false;
        gap('advanceGrant');
        write(name, next);
        return true;
      }),
    revokeGrant: (grantId) =>
      locked('revokeGrant', () => {
        const name = file('grant', grantId);
        const existed = existsSync(name);
        rmSync(name, { force: true });
        return existed;
      }),
    setOnce: (key, ttl) =>
      locked('setOnce', () => {
        const name = file('once', key);
        if (live(name)) return false;
        gap('setOnce');
        write(name, { value: '1', until: Date.now() + ttl * 1000 });
        return true;
      }),
    put: (key, value, ttl) =>
      locked('put', () => write(file('state', key), { value, until: Date.now() + ttl * 1000 })),
    get: (key) => locked('get', () => live(file('state', key))?.value),
    take: (key) =>
      locked('take', () => {
        const name = file('state', key);
        const value = live(name)?.value;
        if (value !== undefined) gap('take');
        rmSync(name, { force: true });
        return value;
      }),
  };
}

function isMade(lock: string): boolean {
  try {
    mkdirSync(lock);
    return true;
  } catch {
    return false;
  }
}
