import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';

import { DEFAULTS, GROUPS, REGISTRATION_DEFAULTS } from '../../lib/options/defaults';
import { allOptionNames } from '../../lib/options/schema';
import { PATHS } from '../../lib/endpoints/paths';
import { PAGES, root, textOf } from '../support/snippets';

interface DocumentedOption {
  name: string;
  isRequired: boolean;
  otherwise: string;
  text: string;
}

/* eslint-disable-next-line @typescript-eslint/no-require-imports -- the script is CommonJS */
const { page, written, optionsOf } = require('../../scripts/options-table.js') as {
  page: string;
  written(text: string): string;
  optionsOf(file: string, name: string): { members: DocumentedOption[] };
};

const INTERFACES = {
  '': ['EssentialOptions', 'ClientsOptions', 'UsersOptions', 'TokensOptions', 'OperationOptions'],
  lifetimes: ['LifetimeOptions'],
  refreshTokens: ['RefreshTokenOptions'],
  federation: ['FederationOptions'],
  metadataDocuments: ['MetadataDocumentOptions'],
  registration: ['RegistrationOptions'],
  selfAsserted: ['SelfAssertedOptions'],
  outOfBand: ['OutOfBandOptions'],
  pages: ['PageOptions'],
  paths: ['PathOptions'],
  dpop: ['DpopOptions'],
};

const documented = Object.entries(INTERFACES).flatMap(([group, names]) =>
  names
    .flatMap((name) => optionsOf('lib/options/options.ts', name).members)
    .map((option) => ({ ...option, name: group === '' ? option.name : `${group}.${option.name}` })),
);

describe('docs/options.md', () => {
  it('has the tables that the documentation in the code gives', () => {
    const text = readFileSync(page, 'utf8');
    expect(text).toBe(written(text));
  });

  it('has every option of the schema, and no other', () => {
    const groups: readonly string[] = GROUPS;
    const names = allOptionNames().filter(
      (name) => !groups.includes(name) && !/^(clientHeaders|pages\.branding)\./.test(name),
    );
    expect(documented.map(({ name }) => name).sort()).toEqual([...names].sort());
  });

  it.each(documented.filter(({ isRequired }) => !isRequired).map((option) => [option.name, option] as const))(
    'says of %s what its default is',
    (name, { otherwise, text }) => {
      expect(text).not.toBe('');
      expect(otherwise).not.toBe('');
      const [group = '', member = ''] = name.includes('.') ? name.split('.') : ['', name];
      const groups = { ...DEFAULTS, registration: REGISTRATION_DEFAULTS, metadataDocuments: {} };
      const defaults = (group === '' ? DEFAULTS : groups[group as 'lifetimes']) as Record<string, unknown>;
      const value = defaults[member];
      if (typeof value === 'number' || typeof value === 'boolean') expect(otherwise).toMatch(`\`${value}\``);
      if (typeof value === 'string') expect(otherwise).toBe(`\`'${value}'\``);
    },
  );
});

describe('the pages of the documentation', () => {
  it('docs/endpoints.md has every path', () => {
    for (const endpoint of Object.values(PATHS)) expect(textOf('docs/endpoints.md')).toContain(endpoint);
  });

  it('docs/events.md has every event', () => {
    const names = [...textOf('lib/events.ts').matchAll(/^ {2}'([\w.]+)': \[/gm)].map(([, name]) => name!);
    expect(names).toHaveLength(23);
    for (const name of names) expect(textOf('docs/events.md')).toContain(`| \`${name}\` |`);
  });

  it('docs/hooks.md has every option that is a function', () => {
    const hooks = documented.filter(({ text }) =>
      /^(Returns|Loads|Finds|Creates|Shows|Ends|Limits|Guards|Refuses) /.test(text),
    );
    expect(hooks.length).toBeGreaterThan(15);
    for (const { name } of hooks) expect(textOf('docs/hooks.md')).toContain(`| \`${name}\` |`);
  });

  it('CONTRIBUTING.md names scripts that exist', () => {
    const { scripts } = JSON.parse(textOf('package.json')) as { scripts: Record<string, string> };
    for (const [, name] of textOf('CONTRIBUTING.md').matchAll(/npm run ([\w:]+)/g))
      expect(scripts).toHaveProperty([name!]);
  });

  it('every relative link leads to a file of the package', () => {
    const packed = execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
      cwd: root,
      encoding: 'utf8',
    });
    const [{ files }] = JSON.parse(packed) as [{ files: { path: string }[] }];
    const shipped = new Set(files.map((file) => file.path));
    const links = PAGES.flatMap((from) =>
      [...textOf(from).matchAll(/\]\((?!https?:|#)([^)#\s]+)(#[^)]*)?\)/g)].map(
        ([, to]) => [from, path.join(path.dirname(from), to!)] as const,
      ),
    );
    expect(links.length).toBeGreaterThan(40);
    const dead = links.filter(([, to]) => !shipped.has(to) || !existsSync(path.join(root, to)));
    expect(dead).toEqual([]);
  });
});
