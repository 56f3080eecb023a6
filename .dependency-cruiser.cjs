'use strict';

/**
 * The layers of lib/, from the top. An entry is a folder or a file; a more exact entry wins. Each may import from its own layer and
 * from the layers below.
 */
const LAYERS = [
  ['cli'],
  ['index'],
  ['router'],
  ['server'],
  ['operations', 'options'],
  ['authorization', 'endpoints'],
  ['linking', 'logout', 'registration'],
  ['token', 'engine'],
  ['grants'],
  ['policy', 'resource'],
  ['federation'],
  ['host'],
  ['clients', 'tokens'],
  ['pages'],
  ['adapters', 'adapter-contract', 'http'],
  [
    'host/call',
    'tokens/sealed-json',
    'tokens/keys',
    'tokens/replaceable',
    'event-reporter',
    'event-log',
    'events',
  ],
  ['digest', 'errors', 'json', 'next-turn', 'printable', 'schemas', 'with-defaults', 'without-values'],
];

/** What the package exports, and its command. */
const ENTRIES = '^lib/(index|cli|adapter-contract/suite|adapters/(postgres|sqlite))\\.ts$';

const pathOf = (names) => `^lib/(${names.join('|')})(/|\\.ts$)`;
/** Entries within the folders of other layers: they do not belong to their folder's layer. */
const EXACT = LAYERS.flat().filter((name) => name.includes('/'));
const without = (names) => {
  const exceptions = EXACT.filter((exact) => !names.includes(exact));
  return exceptions.length > 0 ? pathOf(exceptions) : undefined;
};

const layerRules = LAYERS.slice(1).map((layer, position) => ({
  name: `layer-of-${layer[0]}`,
  comment: 'Imports run downwards through the layers: see .dependency-cruiser.cjs.',
  severity: 'error',
  from: { path: pathOf(layer), pathNot: without(layer) },
  to: {
    path: pathOf(LAYERS.slice(0, position + 1).flat()),
    pathNot: without(LAYERS.slice(0, position + 1).flat()),
  },
}));

module.exports = {
  forbidden: [
    {
      name: 'no-circles',
      comment: 'Imports form no circle, types included.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'engine-only',
      comment: 'Only lib/engine.ts imports the engine.',
      severity: 'error',
      from: { path: '^lib/', pathNot: '^lib/engine\\.ts$' },
      to: { path: '@node-oauth' },
    },
    {
      name: 'no-dead-files',
      comment: 'Every file is imported, directly or not, by what the package exports.',
      severity: 'error',
      from: { path: ENTRIES },
      to: { path: '^lib/', pathNot: ENTRIES, reachable: false },
    },
    {
      name: 'every-file-has-a-layer',
      comment: 'A file outside of the layers could be a way around them: add it to LAYERS.',
      severity: 'error',
      from: {},
      to: { path: '^lib/', pathNot: pathOf(LAYERS.flat()) },
    },
    ...layerRules,
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.build.json' },
  },
};
