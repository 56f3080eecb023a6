import { startFaultHost, type FaultHost, type FaultStore } from './fault-host';
import { startLoad, wait, type Load } from './fault-load';
import { problemsIn, readHistory, writeHistory } from './history';

/** How often each fault happens. */
export const ROUNDS = Number(process.env.FAULT_ROUNDS ?? 1);
/** How soon after the store's return everybody is answered. Milliseconds. */
const RECOVERY = 2000;

/** What happens while clients are at work. The promise resolves as soon as the store is there again. */
export type Fault = (hosts: FaultHost[]) => Promise<void>;

export interface FaultOptions {
  readonly processes?: number;
  /** How many clients are at work. */
  readonly clients?: number;
  /** Whether clients also log in while it happens; otherwise they only refresh. */
  readonly logsIn?: boolean;
  /** Whether a process is killed, so that some requests have no answer at all. */
  readonly mayBreak?: boolean;
}

/** What a storm of faults did to honest clients, and how long it took until all of them were answered again. */
export interface Outcome {
  readonly problems: readonly string[];
  readonly requests: number;
  readonly unanswered: number;
  readonly recovery: number;
}

/** Lets clients work, makes something fail, and checks their history. */
export async function withstand(
  name: string,
  store: FaultStore,
  fault: Fault,
  { processes = 2, clients = 8, logsIn = true, mayBreak = false }: FaultOptions = {},
): Promise<Outcome> {
  const all = new Set<FaultHost>();
  let load: Load | undefined;
  try {
    const hosts = await Promise.all(
      Array.from({ length: processes }, async (_, position) => {
        const host = await startFaultHost({ ...store, isTuned: position % 2 === 1 });
        all.add(host);
        return host;
      }),
    );
    load = await startLoad(() => hosts, { clients, logsIn });
    const recoveries: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      await wait(500);
      await fault(hosts);
      for (const host of hosts) all.add(host);
      recoveries.push(await load.answeredSince(performance.now()));
    }
    await wait(300);
    const lost = await load.finish();
    const history = readHistory(writeHistory(name, load.history));
    const recovery = Math.max(...recoveries);
    const alarms = [...all].flatMap(({ events }) => events).filter((event) => ALARMS.includes(event));
    const problems = [
      ...lost,
      ...problemsIn(history, { mayBreak }),
      ...[...all].flatMap(({ hasDied }) => (hasDied ? ['a host ended'] : [])),
      ...new Set(alarms),
      ...(recovery > RECOVERY ? [`the recovery took ${recovery} ms`] : []),
    ];
    const unanswered = history.filter(({ status }) => status !== 200).length;
    return { problems, requests: history.length, unanswered, recovery };
  } finally {
    load?.stop();
    await Promise.all([...all].map((host) => host.kill()));
  }
}

/** Events that say that somebody steals. */
const ALARMS = ['refresh_token.reused', 'server.failed'];
