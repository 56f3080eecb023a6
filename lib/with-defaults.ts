/**
 * Returns the defaults, replaced by the given members with these names; `undefined` counts as left out. Members are read by name,
 * because the object may be an instance of a class, whose methods are not among its own.
 */
export function withDefaults<Defaults extends object>(
  defaults: Defaults,
  given: object,
  names: readonly string[] = Object.keys(defaults),
): Defaults {
  const values = given as Readonly<Record<string, unknown>>;
  const set = names.map((name) => [name, values[name]] as const).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(set) };
}
