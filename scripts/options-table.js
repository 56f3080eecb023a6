'use strict';

/**
 * Writes the tables of docs/options.md from the documentation of the options in lib/: `npm run docs:options`. A test compares them.
 */
const { readFileSync, writeFileSync } = require('node:fs');
const path = require('node:path');
const ts = require('typescript');

const root = path.join(__dirname, '..');
const page = path.join(root, 'docs', 'options.md');
const MARKERS = ['<!-- The tables are written by `npm run docs:options`. -->', '<!-- End of the tables. -->'];

/** The interfaces in the order of the page, with the group of their options. */
const SECTIONS = [
  ['Essentials', 'lib/options/options.ts', 'EssentialOptions'],
  ['Clients', 'lib/options/options.ts', 'ClientsOptions'],
  ['Users', 'lib/options/options.ts', 'UsersOptions'],
  ['Tokens', 'lib/options/options.ts', 'TokensOptions'],
  ['Operation', 'lib/options/options.ts', 'OperationOptions'],
  ['`lifetimes`', 'lib/options/options.ts', 'LifetimeOptions', 'lifetimes'],
  ['`refreshTokens`', 'lib/options/options.ts', 'RefreshTokenOptions', 'refreshTokens'],
  ['`federation`', 'lib/options/options.ts', 'FederationOptions', 'federation'],
  ['`metadataDocuments`', 'lib/options/options.ts', 'MetadataDocumentOptions', 'metadataDocuments'],
  ['`registration`', 'lib/options/options.ts', 'RegistrationOptions', 'registration'],
  ['`selfAsserted`', 'lib/options/options.ts', 'SelfAssertedOptions', 'selfAsserted'],
  ['`outOfBand`', 'lib/options/options.ts', 'OutOfBandOptions', 'outOfBand'],
  ['`pages`', 'lib/options/options.ts', 'PageOptions', 'pages'],
  ['`paths`', 'lib/options/options.ts', 'PathOptions', 'paths'],
  ['`dpop`', 'lib/options/options.ts', 'DpopOptions', 'dpop'],
  ['Resources', 'lib/policy/audiences.ts', 'ResourceOptions'],
  ['Client metadata', 'lib/adapters/contract.ts', 'ClientMetadata'],
];

/** Converts a text to one line for a table cell. */
function cell(text) {
  return text.replace(/\s+/g, ' ').replaceAll('|', '\\|').trim();
}

/** Returns the text and the default of a member's documentation. */
function documentationOf(member) {
  const [doc] = ts.getJSDocCommentsAndTags(member).filter(ts.isJSDoc);
  const text = doc ? (ts.getTextOfJSDocComment(doc.comment) ?? '') : '';
  const tag = doc?.tags?.find(({ tagName }) => tagName.text === 'defaultValue');
  const given = tag ? (ts.getTextOfJSDocComment(tag.comment) ?? '') : '';
  return { text: cell(text), otherwise: cell(given) };
}

/** Reads every option of an interface. */
function optionsOf(file, name) {
  const source = ts.createSourceFile(
    file,
    readFileSync(path.join(root, file), 'utf8'),
    ts.ScriptTarget.Latest,
    true,
  );
  const declaration = source.statements.find(
    (statement) => ts.isInterfaceDeclaration(statement) && statement.name.text === name,
  );
  if (!declaration) throw new Error(`no interface ${name} in ${file}`);
  const members = declaration.members.filter(ts.isPropertySignature).map((member) => ({
    name: member.name.getText(),
    isRequired: member.questionToken === undefined,
    isPolicy: /^Policy</.test(member.type?.getText() ?? ''),
    ...documentationOf(member),
  }));
  return { sentence: documentationOf(declaration).text, members };
}

function table({ members }, group) {
  const rows = members.map(({ name, isRequired, isPolicy, text, otherwise }) => {
    const full = group ? `${group}.${name}` : name;
    return `| \`${full}\`${isPolicy ? ' ƒ' : ''} | ${isRequired ? 'required' : otherwise} | ${text} |`;
  });
  return ['| option | default | |', '|---|---|---|', ...rows].join('\n');
}

function tables() {
  return SECTIONS.map(([title, file, name, group]) => {
    const options = optionsOf(file, name);
    return `## ${title}\n\n${options.sentence}\n\n${table(options, group)}`;
  }).join('\n\n');
}

/** Returns the page with new tables. */
function written(text) {
  const [start, end] = MARKERS.map((marker) => text.indexOf(marker));
  if (start < 0 || end < 0) throw new Error('docs/options.md has lost its markers');
  return `${text.slice(0, start)}${MARKERS[0]}\n\n${tables()}\n\n${text.slice(end)}`;
}

module.exports = { page, written, optionsOf };

if (require.main === module) writeFileSync(page, written(readFileSync(page, 'utf8')));
