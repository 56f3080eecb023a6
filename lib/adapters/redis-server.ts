import { isIoredis, type RedisClient } from './redis-client';
import type { RedisCommands } from './redis-commands';

/** The clients whose server has been looked at: many adapters may share one. */
const seen = new WeakSet<RedisClient>();

/** Warns about a server that is too old, or that may evict grants, and about a client that a failover may end: once for each client. */
export function warnAboutServer(client: RedisClient, { info, whenReady }: RedisCommands): void {
  if (seen.has(client)) return;
  seen.add(client);
  if (isIoredis(client) && (client.options as { failoverDetector?: boolean }).failoverDetector) {
    process.emitWarning(
      'express-oauth-router: a failover may end a client of ioredis for good that has failoverDetector; set socketTimeout instead',
    );
  }
  const check = async (): Promise<void> => {
    const text = String(await info());
    const [, major, minor] = /^redis_version:(\d+)\.(\d+)/m.exec(text) ?? [];
    if (Number(major) < 6 || (Number(major) === 6 && Number(minor) < 2)) {
      process.emitWarning('express-oauth-router needs Redis 6.2 or later');
    }
    const policy = /^maxmemory_policy:(\S+)/m.exec(text)?.[1];
    if (policy && policy !== 'noeviction') {
      process.emitWarning(
        `express-oauth-router: Redis may evict grants; set maxmemory-policy noeviction, not ${policy}`,
      );
    }
  };
  // A server that forbids INFO works too: the warning is only advice.
  whenReady(() => void check().catch(() => undefined));
}
