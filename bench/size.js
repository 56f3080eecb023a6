/** Measures what an installation takes on disk: each package with its dependencies, once each. `node size.js`. */
import { readdirSync, readFileSync, realpathSync, statSync, existsSync } from 'node:fs';
import path from 'node:path';

const PACKAGES = [
  'express-oauth-router',
  '@node-oauth/oauth2-server',
  'oidc-provider',
  '@jmondi/oauth2-server',
  '@modelcontextprotocol/sdk',
  '@better-auth/oauth-provider and better-auth',
];

const read = (folder) => JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8'));

/** Returns the folder of a package as a module in another folder finds it. */
function find(name, from) {
  for (let folder = from; ; folder = path.dirname(folder)) {
    const found = path.join(folder, 'node_modules', name);
    if (existsSync(path.join(found, 'package.json'))) return realpathSync(found);
    if (folder === path.dirname(folder)) return undefined;
  }
}

function withDependencies(folder, found) {
  if (found.has(folder)) return found;
  found.add(folder);
  for (const name of Object.keys(read(folder).dependencies ?? {})) {
    const dependency = find(name, folder);
    if (dependency === undefined) throw new Error(`${name} is not installed`);
    withDependencies(dependency, found);
  }
  return found;
}

function bytesIn(folder) {
  return readdirSync(folder, { withFileTypes: true }).reduce((sum, entry) => {
    if (entry.name === 'node_modules') return sum;
    const inner = path.join(folder, entry.name);
    return sum + (entry.isDirectory() ? bytesIn(inner) : statSync(inner).size);
  }, 0);
}

/** What is published of the package itself is a part of its folder. */
function sizeOf(folder) {
  const { name, files } = read(folder);
  if (name !== 'express-oauth-router') return bytesIn(folder);
  return files.reduce((sum, file) => {
    const inner = path.join(folder, file);
    return sum + (statSync(inner).isDirectory() ? bytesIn(inner) : statSync(inner).size);
  }, 0);
}

console.log('| package | packages | MB |\n|---|---|---|');
for (const name of PACKAGES) {
  const found = new Set();
  for (const one of name.split(' and ')) withDependencies(find(one, import.meta.dirname), found);
  const folders = [...found];
  const bytes = folders.reduce((sum, folder) => sum + sizeOf(folder), 0);
  console.log(`| ${name} | ${folders.length} | ${(bytes / 1e6).toFixed(1)} |`);
}
