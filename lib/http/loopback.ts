/**
 * `localhost` and the names below it (RFC 6761 §6.3), 127.0.0.0/8 or `[::1]`, as they are written in URLs and in `Host` (RFC 8252 §7.3
 * and §8.3).
 */
const LOOPBACK = /^(?:(?:[a-z\d-]+\.)*localhost|127(?:\.\d{1,3}){3}|\[::1\])$/;

/** Whether a host name, without its port, denotes this machine. */
export function isLoopbackHost(hostname: string): boolean {
  return LOOPBACK.test(hostname);
}

/** Whether a text is a URL on this machine. */
export function isLoopbackUrl(url: unknown): boolean {
  return typeof url === 'string' && URL.canParse(url) && isLoopbackHost(new URL(url).hostname);
}
