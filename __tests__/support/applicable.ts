/** What does not apply to an adapter of this package is no test of it. */
export const applicable = {
  describe,
  it: Object.assign((name: string, run: () => Promise<void>) => it(name, run), { skip: () => undefined }),
};
