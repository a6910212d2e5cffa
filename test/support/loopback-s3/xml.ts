/** The little XML that S3 speaks. */

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" };

export function escapeXml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}

export function unescapeXml(text: string): string {
  return text.replaceAll(/&(#x?[0-9a-f]+|\w+);/gi, (_, name: string) => {
    if (name.startsWith('#x')) return String.fromCodePoint(Number.parseInt(name.slice(2), 16));
    if (name.startsWith('#')) return String.fromCodePoint(Number(name.slice(1)));
    return ENTITIES[name] ?? '';
  });
}

/** What stands between the tags of every element of that name. */
export function elementsOf(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>([\\s\\S]*?)</${name}>`, 'g'))].map(
    ([, content = '']) => content,
  );
}

/** A value becomes an element; `Raw` stays as it is. */
export function element(name: string, ...content: (string | number | boolean | Raw)[]): Raw {
  const inner = content.map((one) => (one instanceof Raw ? one.xml : escapeXml(String(one)))).join('');
  return new Raw(`<${name}>${inner}</${name}>`);
}

export class Raw {
  readonly xml: string;

  constructor(xml: string) {
    this.xml = xml;
  }
}

export function documentOf(root: Raw): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${root.xml}`;
}
