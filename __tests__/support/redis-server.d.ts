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
/** A private Sentinel on loopback. */
export interface Sentinel {
  port: number;
  pause(): void;
  resume(): void;
  stop(): void;
}

export function startSentinel(master: number): Promise<Sentinel>;
export function startSentinels(master: number): Promise<Sentinel[]>;
export function freePort(): Promise<number>;
