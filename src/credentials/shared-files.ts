/**
 * The format of `~/.aws/config` and `~/.aws/credentials`. Facts: "Shared config and credentials files" in the AWS SDKs and Tools
 * Reference Guide: sections in brackets, `profile NAME` in the one and `NAME` in the other file, comments with `#` or `;`, and
 * indented lines that belong to the key before, none of which holds keys.
 */
import { homedir } from 'node:os';
import { join } from 'node:path';

export type Profile = Readonly<Record<string, string>>;

export interface SharedFilePaths {
  readonly credentialsFile: string;
  readonly configFile: string;
}

export function sharedFilePaths(
  named: { readonly credentialsFile?: string | undefined; readonly configFile?: string | undefined },
  environment: NodeJS.ProcessEnv,
): SharedFilePaths {
  const home = environment['HOME'] || homedir();
  return {
    credentialsFile:
      named.credentialsFile ??
      (environment['AWS_SHARED_CREDENTIALS_FILE'] || join(home, '.aws', 'credentials')),
    configFile: named.configFile ?? (environment['AWS_CONFIG_FILE'] || join(home, '.aws', 'config')),
  };
}

/** A profile as both files have it; where both have a key, the credentials file wins. Undefined when neither has the profile. */
export function readProfile(
  name: string,
  texts: { readonly config: string | undefined; readonly credentials: string | undefined },
): Profile | undefined {
  const config = sectionsOf(texts.config ?? '');
  const inConfig = config.get(`profile ${name}`) ?? (name === 'default' ? config.get('default') : undefined);
  const inCredentials = sectionsOf(texts.credentials ?? '').get(name);
  if (inConfig === undefined && inCredentials === undefined) return undefined;
  return { ...inConfig, ...inCredentials };
}

function sectionsOf(text: string): Map<string, Record<string, string>> {
  const sections = new Map<string, Record<string, string>>();
  let section: Record<string, string> | undefined;
  for (const line of text.replace(/^\uFEFF/, '').split(/\r?\n/)) {
    const header = /^\s*\[([^\]]+)\]/.exec(line)?.[1];
    if (header !== undefined) {
      const name = nameOf(header);
      section = sections.get(name) ?? {};
      sections.set(name, section);
    } else if (section !== undefined && !/^\s/.test(line)) {
      readLine(line, section);
    }
  }
  return sections;
}

/** `profile "two words"` and `profile   one` are the names `profile two words` and `profile one`. */
function nameOf(header: string): string {
  const [, kind, name] = /^\s*(profile)\s+["']?(.*?)["']?\s*$/.exec(header) ?? [];
  return kind === undefined || name === undefined ? header.trim() : `profile ${name}`;
}

function readLine(line: string, section: Record<string, string>): void {
  const [, key, value] = /^([^#;=\s][^=]*?)\s*=\s*(.*)$/.exec(line) ?? [];
  if (key !== undefined && value !== undefined) {
    section[key.toLowerCase()] = value.replace(/\s[#;].*$/, '').trim();
  }
}
