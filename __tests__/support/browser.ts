/** A browser without scripts: cookies, redirects, forms. */
export interface Browser {
  /** Follows redirects until a redirect leads to a URL that must not be loaded. */
  visit(url: string, form?: Record<string, string>): Promise<{ url: string; status: number; text: string }>;
}

/** Creates a browser. A redirect ends the visit if its location begins with one of `stops`. */
export function browser(origin: string, stops: readonly string[] = []): Browser {
  const cookies = new Map<string, string>();
  async function visit(
    url: string,
    form?: Record<string, string>,
  ): Promise<{ url: string; status: number; text: string }> {
    let target = new URL(url, origin);
    let body = form && new URLSearchParams(form);
    for (let redirects = 0; redirects < 15; redirects++) {
      const response = await fetch(target, {
        method: body ? 'POST' : 'GET',
        ...(body && { body }),
        headers: { Cookie: [...cookies].map((pair) => pair.join('=')).join('; '), Accept: 'text/html' },
        redirect: 'manual',
      });
      for (const cookie of response.headers.getSetCookie()) {
        const [name = '', ...value] = cookie.split(';')[0]!.split('=');
        cookies.set(name, value.join('='));
      }
      const location = response.headers.get('location');
      if (
        location === null ||
        !/^(https?:|\/)/.test(location) ||
        stops.some((stop) => location.startsWith(stop))
      ) {
        return { url: location ?? target.href, status: response.status, text: await response.text() };
      }
      target = new URL(location, target);
      if (response.status !== 307) body = undefined;
    }
    throw new Error('a redirect loop');
  }
  return { visit };
}
