/** How many operations run at once: the grants of one user must not hold up the requests of others. */
const AT_ONCE = 100;

/** Runs an operation for every item, a limited number at once. No failure prevents the others. */
export async function settledInParts<Item, Result>(
  items: readonly Item[],
  run: (item: Item) => Promise<Result>,
): Promise<PromiseSettledResult<Result>[]> {
  const results: PromiseSettledResult<Result>[] = [];
  for (let start = 0; start < items.length; start += AT_ONCE) {
    results.push(...(await Promise.allSettled(items.slice(start, start + AT_ONCE).map(run))));
  }
  return results;
}
