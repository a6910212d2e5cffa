import { Document, isAlias, isMap, isSeq, LineCounter, parseDocument } from 'yaml';
import type { Node, Pair, YAMLError, YAMLMap } from 'yaml';

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
}

/**
 * Parses with the "failsafe" schema, where every scalar is a text: what a value means depends on its key, not on how
 * YAML would guess. Never throws for a bad text.
 */
export function parseYaml(fileText: string, expands: boolean): YamlSource {
  const lineCounter = new LineCounter();
  const text = expands ? hideBraces(fileText) : fileText;
  const parsed = parseOrOverflow(text, lineCounter);
  const document = parsed ?? new Document(undefined);
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
        : document.errors.map((error) => ({
            ...positionOf(error.pos[0]),
            message: syntaxMessage(error),
          })),
    isUsable: parsed !== undefined && document.errors.every((error) => error.code === 'DUPLICATE_KEY'),
    positionOf,
  };
}

const TOO_DEEP: SyntaxProblem = { line: 1, column: 1, message: 'not valid YAML: it is nested too deeply' };

/** The parser calls itself for each level: thousands of them are too many. Undefined then. */
function parseOrOverflow(text: string, lineCounter: LineCounter): Document | undefined {
  try {
    return parseDocument(text, { schema: 'failsafe', lineCounter, prettyErrors: false });
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function syntaxMessage(error: YAMLError): string {
  if (error.code === 'DUPLICATE_KEY') return 'this key is written twice in the same section';
  const hint = error.code === 'TAB_AS_INDENT' ? ' (indent with spaces)' : '';
  // Behind a colon the parser quotes the text, in which there may be a secret.
  const message = error.message.replace(/(?<! ): .*$/s, '');
  return `not valid YAML: ${showBraces(message)}${hint}`;
}

/** The node that an alias (`*name`) stands for; other nodes are returned as they are. */
export function followAlias(source: YamlSource, node: unknown): Node | undefined {
  const target = isAlias(node) ? node.resolve(source.document) : node;
  return (target ?? undefined) as Node | undefined;
}

/**
 * The pairs of a map with its merge keys (`<<: *name`) followed; a key that the map itself has wins. YAML 1.1, which
 * existing files are written in, has merge keys. A map that merges itself is followed once.
 */
export function pairsOf(source: YamlSource, map: YAMLMap): Pair[] {
  return mergePairs(source, map, new Set());
}

function mergePairs(source: YamlSource, map: YAMLMap, seen: Set<unknown>): Pair[] {
  if (seen.has(map)) return [];
  seen.add(map);
  const own = map.items.filter((pair) => !isMergeKey(pair));
  const taken = new Set(own.map(keyText));
  const merged = map.items.filter(isMergeKey).flatMap((pair) => pairsOfMerged(source, pair.value, seen));
  return [...own, ...merged.filter((pair) => !taken.has(keyText(pair)) && taken.add(keyText(pair)))];
}

function pairsOfMerged(source: YamlSource, value: unknown, seen: Set<unknown>): Pair[] {
  const node = followAlias(source, value);
  if (isSeq(node)) return node.items.flatMap((item) => pairsOfMerged(source, item, seen));
  return isMap(node) ? mergePairs(source, node, seen) : [];
}

function isMergeKey(pair: Pair): boolean {
  return keyText(pair) === '<<';
}

/** The key as it is written. */
export function keyText(pair: Pair): string {
  return showBraces(String(pair.key));
}

/** Offset of a node's first character; `fallback` for a node that has none, as an empty value. */
export function offsetOf(node: unknown, fallback: number): number {
  const range = (node as Node | null | undefined)?.range;
  return range?.[0] ?? fallback;
}
