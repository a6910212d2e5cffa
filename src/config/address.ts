/** Where the HTTP server listens. */
export interface ListenAddress {
  /** Undefined when the text names none. */
  readonly host: string | undefined;
  /** 0 lets the system choose. */
  readonly port: number;
}

/** Reads `host:port`, `[ipv6]:port` or `:port`; undefined when it is none of them. */
export function parseAddress(text: string): ListenAddress | undefined {
  const match = /^(?:\[([0-9a-f:.%]+)\]|([^\s:/[\]]*)):(\d{1,5})$/i.exec(text);
  if (match === null) return undefined;
  const host = match[1] ?? match[2];
  const port = Number(match[3]);
  return port > 65_535 ? undefined : { host: host || undefined, port };
}
