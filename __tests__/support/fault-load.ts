import type { FaultHost } from './fault-host';
import { pkce } from './host';
import { positionIn, type Operation } from './history';

export const wait = (milliseconds: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, milliseconds));

const AUTHORIZATION = `Basic ${Buffer.from('web:web-secret').toString('base64')}`;
/** How long a client waits before it repeats what was not answered. Milliseconds. */
const PAUSE = 100;
/** How long a client repeats it after the end. Milliseconds. */
const PATIENCE = 20_000;

/** Clients that log in and refresh all the time. */
export interface Load {
  readonly history: readonly Operation[];
  /** Waits until each client has been answered after a moment. Returns the longest time that it took, in milliseconds. */
  answeredSince(moment: number): Promise<number>;
  /** Lets the clients finish, and each refresh once more. Returns what went wrong for those that could not. */
  finish(): Promise<string[]>;
  /** Stops the clients as they are. */
  stop(): void;
}

interface App {
  held: string | undefined;
  answeredAt: number;
}

/** Starts clients. `logsIn` is whether they also log in anew all the time, rather than once at the beginning. */
export async function startLoad(
  hosts: () => readonly FaultHost[],
  { clients, logsIn }: { clients: number; logsIn: boolean },
): Promise<Load> {
  const history: Operation[] = [];
  const started = performance.now();
  const now = (): number => Math.round((performance.now() - started) * 100) / 100;
  const state = { isOver: false, turn: 0, end: Infinity };
  const nextHost = (): FaultHost => {
    const list = hosts();
    return list[state.turn++ % list.length]!;
  };

  async function send(
    client: number,
    kind: Operation['kind'],
    token: string,
    form: Record<string, string>,
  ): Promise<{ status: number; token: string | undefined }> {
    const began = now();
    const { status, body } = await post(nextHost(), form);
    const result = body.refresh_token === undefined ? undefined : positionIn(body.refresh_token).generation;
    const { error } = body;
    history.push({ client, kind, ...positionIn(token), began, ended: now(), status, result, error });
    return { status, token: body.refresh_token };
  }

  /** Logs in. A login that was not answered is begun anew, as a user would. */
  async function logIn(client: number, app: App): Promise<void> {
    const { verifier, challenge } = pkce();
    const code = await codeFor(nextHost(), `user-${client}`, challenge);
    if (code === undefined) {
      await wait(PAUSE);
      return;
    }
    const form = { grant_type: 'authorization_code', code, code_verifier: verifier };
    for (let attempt = 0; attempt < 3; attempt++) {
      const { status, token } = await send(client, 'redeem', code, form);
      if (status === 200) {
        app.held = token;
        app.answeredAt = performance.now();
      }
      if (status === 200 || status === 400) return;
      await wait(PAUSE);
    }
  }

  /**
   * One tab of an app: it repeats what was not answered, unless another tab has got a newer token. Returns why it got no token in the end, if
   * it did not.
   */
  async function refresh(client: number, app: App): Promise<string | undefined> {
    for (;;) {
      const presented = app.held!;
      const form = { grant_type: 'refresh_token', refresh_token: presented };
      const { status, token } = await send(client, 'refresh', presented, form);
      if (status === 200) {
        if (token === undefined) return `client ${client} got no token`;
        if (positionIn(token).generation > positionIn(app.held!).generation) app.held = token;
        app.answeredAt = performance.now();
        return undefined;
      }
      if (status === 400) return `client ${client} has lost its login`;
      if (performance.now() > state.end) return `client ${client} is not answered: ${status}`;
      await wait(PAUSE);
    }
  }

  async function run(client: number, app: App): Promise<string | undefined> {
    for (let round = 0; !state.isOver; round++) {
      if (app.held === undefined || (logsIn && round % 5 === 4)) await logIn(client, app);
      else {
        const tabs = round % 3 === 0 ? [1, 2] : [1];
        const problems = await Promise.all(tabs.map(() => refresh(client, app)));
        const problem = problems.find((one) => one !== undefined);
        if (problem !== undefined) return problem;
      }
      await wait(10);
    }
    return undefined;
  }

  const apps = Array.from({ length: clients }, (): App => ({ held: undefined, answeredAt: 0 }));
  await Promise.all(
    apps.map(async (app, client) => {
      const end = performance.now() + PATIENCE;
      while (app.held === undefined && performance.now() < end) await logIn(client, app);
    }),
  );
  const running = apps.map((app, client) => run(client, app));

  return {
    history,
    answeredSince: async (moment) => {
      const end = moment + 15_000;
      while (performance.now() < end && apps.some(({ answeredAt }) => answeredAt < moment)) await wait(10);
      return Math.max(
        ...apps.map(({ answeredAt }) => (answeredAt < moment ? Infinity : answeredAt - moment)),
      );
    },
    stop: () => {
      state.isOver = true;
      state.end = 0;
    },
    finish: async () => {
      state.isOver = true;
      state.end = performance.now() + PATIENCE;
      const lost = await Promise.all(running);
      const last = await Promise.all(
        apps.map(async (app, client) =>
          app.held === undefined ? `client ${client} has never logged in` : refresh(client, app),
        ),
      );
      return [...lost, ...last].filter((problem) => problem !== undefined);
    },
  };
}

async function codeFor(host: FaultHost, user: string, challenge: string): Promise<string | undefined> {
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: 'web',
    code_challenge: challenge,
    code_challenge_method: 'S256',
  });
  try {
    const response = await fetch(`${host.origin}/authorize?${query.toString()}`, {
      redirect: 'manual',
      headers: { 'x-user': user },
      signal: AbortSignal.timeout(5000),
    });
    const location = response.headers.get('location');
    return location === null ? undefined : (new URL(location).searchParams.get('code') ?? undefined);
  } catch {
    return undefined;
  }
}

interface Body {
  readonly refresh_token?: string;
  readonly error?: string;
}

async function post(host: FaultHost, form: Record<string, string>): Promise<{ status: number; body: Body }> {
  try {
    const response = await fetch(`${host.origin}/token`, {
      method: 'POST',
      headers: { Authorization: AUTHORIZATION },
      body: new URLSearchParams(form),
      signal: AbortSignal.timeout(5000),
    });
    return { status: response.status, body: (await response.json()) as Body };
  } catch {
    return { status: 0, body: {} };
  }
}
