/** The paths of the endpoints below the issuer, unless the host has others. */
export const PATHS = {
  authorize: '/authorize',
  consent: '/consent',
  callback: '/callback',
  par: '/par',
  token: '/token',
  userinfo: '/userinfo',
  logout: '/logout',
  revoke: '/revoke',
  introspect: '/introspect',
  link: '/link',
  linkTickets: '/link_tickets',
  jwks: '/jwks',
  register: '/register',
} as const;

/** The paths of the metadata, which the standards define (RFC 8414 §3, OpenID Connect Discovery §4). */
export const WELL_KNOWN_PATHS = [
  '/.well-known/oauth-authorization-server',
  '/.well-known/openid-configuration',
] as const;

/** An endpoint whose path a host may choose. */
export type EndpointName = keyof typeof PATHS;
export type Paths = Readonly<Record<EndpointName, string>>;

/** Returns the URL of an endpoint. It depends on the options alone, never on a request. */
export function endpointUrl(issuer: string, path: string): string {
  return issuer.replace(/\/$/, '') + path;
}

/** What every proxy and router passes on as it is. */
const PATH = /^(?:\/[\w.~-]+)+$/;

/** Returns the faults of the paths that a host has chosen, as ends of sentences by endpoint. */
export function pathFaults(paths: Paths): [name: string, fault: string][] {
  const entries = Object.entries(paths);
  // Express and many proxies match paths regardless of case.
  const taken = [...entries.map(([, path]) => path), ...WELL_KNOWN_PATHS].map((path) => path.toLowerCase());
  return entries.flatMap(([name, path]): [string, string][] => {
    if (!PATH.test(path) || /\/\.{1,2}(?:\/|$)/.test(path))
      return [[name, 'must be a path of plain segments, such as /oauth/token, without a slash at the end']];
    if (taken.filter((other) => other === path.toLowerCase()).length > 1)
      return [[name, `is the path of another endpoint: ${path}`]];
    const parent = path.slice(0, path.lastIndexOf('/')).toLowerCase();
    const members = [
      ['provider', paths.authorize],
      ['provider', paths.callback],
      ['client', paths.register],
    ].find(([, own]) => own?.toLowerCase() === parent);
    return members ? [[name, `is the path of a ${members[0] ?? ''} below ${parent}`]] : [];
  });
}
