import { createHash, randomBytes } from 'node:crypto';

import { nextTurn } from '../next-turn';
import {
  isIoredis,
  type IoredisClient,
  type NodeRedisClient,
  type RedisClient,
  type RedisCommandName,
} from './redis-client';

export type Argument = string | number;

/** A script on one key. */
export type Script = (key: string, ...args: Argument[]) => Promise<unknown>;

/** What the adapter asks of a client, whichever package it comes from. */
export interface RedisCommands {
  /** Sends a command whose first argument is a key. A value that is missing is `null`. */
  command(name: RedisCommandName, key: string, ...args: Argument[]): Promise<unknown>;
  /** Returns a function that runs a script, which the server keeps. The name is that of a command of the client, if it has such. */
  script(name: string, lua: string): Script;
  ping(): Promise<unknown>;
  info(): Promise<unknown>;
  /** Calls a function as soon as commands can be sent. */
  whenReady(run: () => void): void;
}

/**
 * Identifies a call. After a broken connection, ioredis sends a command again that has run already: it must get the answer that was
 * lost, and no other call may get it.
 */
export function callMark(): string {
  return randomBytes(12).toString('base64url');
}

export function createRedisCommands(client: RedisClient): RedisCommands {
  return isIoredis(client) ? ioredisCommands(client) : nodeRedisCommands(client);
}

function ioredisCommands(client: IoredisClient): RedisCommands {
  const gatherWrites = writeGatherer(client);
  const functions = client as unknown as Record<string, Script>;
  const run =
    (name: string): Script =>
    (key, ...args) => {
      gatherWrites();
      const answer = functions[name]?.(key, ...args);
      return answer ?? Promise.reject(new TypeError(`the client of Redis has no command ${name}`));
    };
  return {
    command: (name, key, ...args) => run(name)(key, ...args),
    script: (name, lua) => {
      client.defineCommand(name, { numberOfKeys: 1, lua });
      return run(name);
    },
    ping: () => client.ping(),
    info: () => client.info(),
    whenReady: (listener) => {
      if (client.status === 'ready') listener();
      else client.once('ready', listener);
    },
  };
}

/**
 * Returns a function that holds back what is written to the client's connections until the turn of the event loop ends: the commands of all
 * its requests go to a server in one write. The write is the most expensive part of a command. The package `redis` does the same by itself.
 */
function writeGatherer(client: IoredisClient): () => void {
  let isGathering = false;
  return () => {
    if (isGathering) return;
    const connections = client.isCluster && client.nodes ? client.nodes('master') : [client];
    // There is none before the first connection, and none in a mock.
    const streams = connections.flatMap(({ stream }) => (typeof stream?.cork === 'function' ? stream : []));
    for (const stream of streams) stream.cork();
    isGathering = true;
    void nextTurn().then(() => {
      isGathering = false;
      for (const stream of streams) stream.uncork();
    });
  };
}

type Send = (key: string | undefined, args: readonly Argument[]) => Promise<unknown>;

function nodeRedisCommands(client: NodeRedisClient): RedisCommands {
  surviveOutages(client);
  const send = senderOf(client);
  return {
    command: (name, key, ...args) => send(key, [name.toUpperCase(), key, ...args]),
    script: (_name, lua) => {
      const hash = createHash('sha1').update(lua).digest('hex');
      return async (key, ...args) => {
        const rest = ['1', key, ...args];
        try {
          return await send(key, ['EVALSHA', hash, ...rest]);
        } catch (error) {
          // The server was restarted, or is new in its cluster.
          if (!(error as Error).message.startsWith('NOSCRIPT')) throw error;
          return send(key, ['EVAL', lua, ...rest]);
        }
      };
    },
    ping: () => send(undefined, ['PING']),
    info: () => send(undefined, ['INFO']),
    whenReady: (listener) => {
      // A pool does not say; a cluster has no event `ready`.
      if (client.isReady ?? true) listener();
      else client.once('masters' in client ? 'connect' : 'ready', listener);
    },
  };
}

/** Returns how a client sends a command: to the master of its key, if there are several servers. */
function senderOf(client: NodeRedisClient): Send {
  const sendCommand = (...args: unknown[]): Promise<unknown> => client.sendCommand(...(args as never[]));
  const texts = (args: readonly Argument[]): string[] => args.map(String);
  if ('masters' in client) return (key, args) => sendCommand(key, false, texts(args));
  if ('getMasterNode' in client) return (_key, args) => sendCommand(false, texts(args));
  return (_key, args) => sendCommand(texts(args));
}

/**
 * Listens to the errors of a connection if the host does not: an outage would end the process. The client connects again by itself, and
 * a request in between is answered with 503.
 */
function surviveOutages(client: NodeRedisClient): void {
  if (client.listenerCount('error') === 0) client.on('error', () => undefined);
}
