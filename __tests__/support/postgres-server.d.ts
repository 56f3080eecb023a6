/** A private PostgreSQL on loopback, which can be stopped and started again on its data. */
export interface PostgresServer {
  url: string;
  start(): Promise<void>;
  /** Ends the server at once: the next start recovers what was committed. */
  crash(): Promise<void>;
  stop(): Promise<void>;
}

/** Each of `args` is a setting, such as `max_connections=10`. */
export function startPostgres(args?: string[]): Promise<PostgresServer>;
