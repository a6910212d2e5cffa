import { Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, visit } from 'yaml';
import type { Alias, Node, Pair, YAMLError, YAMLMap } from 'yaml';

import { hideBraces, showBraces } from './expand-environment.ts';

export interface Position {
  readonly line: number;
  readonly column: number;
}

export interface SyntaxProblem extends Position {
  readonly message: string;
}

/** A parsed YAML text that can say where each of its nodes stands. */
export interface YamlSource {
  /** The text as it was parsed; offsets of nodes count in it. */
  readonly text: string;
  readonly document: Document;
  /** True when variables are to be replaced in values. */
  readonly expands: boolean;
  /** Syntax errors, duplicate keys included. */
  readonly syntaxProblems: readonly SyntaxProblem[];
  /** True when the tree can be trusted in spite of `syntaxProblems`. */
  readonly isUsable: boolean;
  positionOf(offset: number): Position;
  /** The node that an alias stands for; undefined when nothing before it has that name. */
  targetOf(alias: Alias): Node | undefined;
}

/**
 * Parses with the "failsafe" schema, where every scalar is a text: what a value means depends on its key, not on how
 * YAML would guess. Never throws for a bad text.
 */
export function parseYaml(fileText: string, expands: boolean): YamlSource {
  const lineCounter = new LineCounter();
  const text = expands ? hideBraces(fileText) : fileText;
  const parsed = parseOrOverflow(text, lineCounter);
  const document = parsed?.document ?? new Document(undefined);
  const positionOf = (offset: number): Position => {
    const { line, col } = lineCounter.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  return {
    text,
    document,
    expands,
    syntaxProblems:
      parsed === undefined
        ? [TOO_DEEP]
        : [
            ...document.errors.map((error) => ({
              ...positionOf(error.pos[0]),
              message: syntaxMessage(error),
            })),
            ...parsed.doubleKeys.map((offset) => ({ ...positionOf(offset), message: DOUBLE_KEY })),
          ],
    isUsable: parsed !== undefined && document.errors.length === 0,
    positionOf,
    targetOf: (alias) => parsed?.targets.get(alias),
  };
}

interface Parsed {
  readonly document: Document;
  /** What every alias stands for: the last node before it that has its name. */
  readonly targets: ReadonlyMap<Alias, Node>;
  /** Offsets of keys that their section has already. */
  readonly doubleKeys: readonly number[];
}

/** In one walk, since the library's own `Alias.resolve` walks through the whole document for each alias. */
function lookThrough(document: Document): Omit<Parsed, 'document'> {
  const anchors = new Map<string, Node>();
  const targets = new Map<Alias, Node>();
  const doubleKeys: number[] = [];
  visit(document, {
    Map: (_key, map) => {
      doubleKeys.push(...doubleKeysOf(map));
      if (map.anchor !== undefined) anchors.set(map.anchor, map);
    },
    Alias: (_key, alias) => {
      const target = anchors.get(alias.source);
      if (target !== undefined) targets.set(alias, target);
    },
    Value: (_key, node) => {
      if (node.anchor !== undefined) anchors.set(node.anchor, node);
    },
  });
  return { targets, doubleKeys };
}

function* doubleKeysOf(map: YAMLMap): Generator<number, void, undefined> {
  const seen = new Set<unknown>();
  for (const { key } of map.items) {
    if (!isScalar(key)) continue;
    if (seen.has(key.value)) yield offsetOf(key, 0);
    seen.add(key.value);
  }
}

const DOUBLE_KEY = 'this key is written twice in the same section';
const TOO_DEEP: SyntaxProblem = { line: 1, column: 1, message: 'not valid YAML: it is nested too deeply' };

/** The parser calls itself for each level: thousands of them are too many. Undefined then. */
function parseOrOverflow(text: string, lineCounter: LineCounter): Parsed | undefined {
  try {
    // The library compares each key of a section with all others of it; `lookThrough` does not.
    const options = { schema: 'failsafe', lineCounter, prettyErrors: false, uniqueKeys: false } as const;
    const document = parseDocument(text, options);
    return { document, ...lookThrough(document) };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function syntaxMessage(error: YAMLError): string {
  const hint = error.code === 'TAB_AS_INDENT' ? ' (indent with spaces)' : '';
  // Behind a colon the parser quotes the text, in which there may be a secret.
  const message = error.message.replace(/(?<! ): .*$/s, '');
  return `not valid YAML: ${showBraces(message)}${hint}`;
}

/** The node that an alias (`*name`) stands for; other nodes are returned as they are. */
export function followAlias(source: YamlSource, node: unknown): Node | undefined {
  const target = isAlias(node) ? source.targetOf(node) : node;
  return (target ?? undefined) as Node | undefined;
}

/**
 * The pairs of a map with its merge keys (`<<: *name`) followed; a key that the map itself has wins, then the first map
 * that is merged. YAML 1.1, which existing files are written in, has merge keys. A map that merges itself is followed once.
 *
 * @param spend - called for each pair and each merged value that is looked at; it may throw to end that
 */
export function pairsOf(source: YamlSource, map: YAMLMap, spend: () => void = () => undefined): Pair[] {
  const pairs: Pair[] = [];
  const taken = new Set<string>();
  const seen = new Set<unknown>();
  /** What is still to be merged, the next one last: a chain of merges may be as long as the file. */
  const pending: unknown[] = [map];
  while (pending.length > 0) {
    const node = followAlias(source, pending.pop());
    spend();
    if (seen.has(node)) continue;
    seen.add(node);
    /** In the order of the file. */
    const merged: unknown[] = [];
    if (isSeq(node)) for (const item of node.items) merged.push(item);
    for (const pair of isMap(node) ? node.items : []) {
      spend();
      const key = keyText(pair);
      if (key === MERGE_KEY) merged.push(pair.value);
      else if (node === map || !taken.has(key)) pairs.push(pair);
      taken.add(key);
    }
    for (const one of merged.toReversed()) pending.push(one);
  }
  return pairs;
}

const MERGE_KEY = '<<';

/** A key may be a text of any length, or a section, and be read by many aliases. */
const KEY_TEXTS = new WeakMap<Pair, string>();

/** The key as it is written. */
export function keyText(pair: Pair): string {
  const known = KEY_TEXTS.get(pair);
  if (known !== undefined) return known;
  const text = showBraces(String(pair.key));
  KEY_TEXTS.set(pair, text);
  return text;
}

/** Offset of a node's first character; `fallback` for a node that has none, as an empty value. */
export function offsetOf(node: unknown, fallback: number): number {
  const range = (node as Node | null | undefined)?.range;
  return range?.[0] ?? fallback;
}
