const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Markup, which is not escaped again. */
export class Html {
  constructor(readonly text: string) {}
}

type Value = string | Html | undefined | readonly Html[];

/** Creates markup from a template. Values are escaped, unless they are markup already. */
export function html(strings: TemplateStringsArray, ...values: readonly Value[]): Html {
  return new Html(strings.reduce((text, part, position) => text + markup(values[position - 1]) + part));
}

function markup(value: Value): string {
  if (value === undefined) return '';
  if (typeof value === 'string') return value.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
  if (value instanceof Html) return value.text;
  return value.map(({ text }) => text).join('');
}
