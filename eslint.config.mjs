import eslint from '@eslint/js';
import tseslint from 'typescript-eslint';

/** Imports run one way: a folder may import what stands after it. */
const LAYERS = [
  ['index'],
  ['router'],
  ['operations', 'options', 'option-checks'],
  ['endpoints'],
  ['engine'],
  ['grants'],
  ['clients', 'tokens', 'federation', 'resource'],
  ['adapters', 'http', 'pages'],
  ['events', 'errors', 'hooks'],
];

const layerRules = LAYERS.flatMap((layer, position) =>
  layer.map((name) => ({
    files: [`lib/${name}.ts`, `lib/${name}/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              regex: `^\\.\\.?/(${LAYERS.slice(0, position).flat().join('|') || '(?!)'})(/|$)`,
              message: 'Imports run one way: see the layers in eslint.config.mjs.',
            },
            ...(name === 'engine'
              ? []
              : [{ group: ['@node-oauth/*'], message: 'Only lib/engine.ts imports the engine.' }]),
          ],
        },
      ],
    },
  })),
);

export default tseslint.config(
  { ignores: ['dist/**', 'coverage/**', 'bench/**', '.readme/**'] },
  eslint.configs.recommended,
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // Guard clauses return the answer they give; factories return closures, which know no `this`.
      '@typescript-eslint/no-confusing-void-expression': 'off',
      '@typescript-eslint/unbound-method': 'off',
      // Express's request is an interface that extends the class.
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-invalid-void-type': 'off',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-non-null-assertion': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { varsIgnorePattern: '^_$' }],
      'no-console': 'error',
    },
  },
  ...layerRules,
  // Express's own way to add to its request type is a namespace.
  { files: ['lib/resource/require-token.ts'], rules: { '@typescript-eslint/no-namespace': 'off' } },
  {
    files: ['__tests__/**/*.ts', 'examples/**/*.ts'],
    rules: {
      'no-console': 'off',
      // Their clients speak http to loopback, which is marked so that it stands out.
      '@typescript-eslint/no-deprecated': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
    },
  },
  {
    files: ['**/*.js'],
    languageOptions: {
      sourceType: 'commonjs',
      globals: {
        require: 'readonly',
        module: 'writable',
        process: 'readonly',
        console: 'readonly',
        __dirname: 'readonly',
        setTimeout: 'readonly',
      },
    },
  },
);
