/** The paths of the endpoints below the issuer. */
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
  metadata: '/.well-known/oauth-authorization-server',
  discovery: '/.well-known/openid-configuration',
} as const;

export type EndpointName = keyof typeof PATHS;

/** Returns the URL of an endpoint. It depends on the issuer alone, never on a request. */
export function endpointUrl(issuer: string, name: EndpointName): string {
  return issuer.replace(/\/$/, '') + PATHS[name];
}
