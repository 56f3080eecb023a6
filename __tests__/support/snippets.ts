import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

export const root = path.join(__dirname, '../..');

/** The pages that users read. */
export const PAGES = [
  'README.md',
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  ...readdirSync(path.join(root, 'docs')).map((name) => `docs/${name}`),
];

export function textOf(page: string): string {
  return readFileSync(path.join(root, page), 'utf8');
}

/** The TypeScript snippets of a page. */
export function snippetsOf(page: string): string[] {
  return [...textOf(page).matchAll(/```ts\n([^]*?)```/g)].map(([, code]) => code!);
}
