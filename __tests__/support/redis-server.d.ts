/** A private redis-server on loopback. */
export interface RedisServer {
  port: number;
  url: string;
  start(): Promise<void>;
  kill(): Promise<void>;
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

export function startRedis(args?: string[]): Promise<RedisServer>;
export function startSentinel(master: number): Promise<{ port: number; stop(): void }>;
export function startSentinels(master: number): Promise<{ ports: number[]; stop(): void }>;
export function freePort(): Promise<number>;
