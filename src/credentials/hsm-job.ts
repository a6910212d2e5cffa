/** What `hsm-request.ts` is told on its standard input, and what it prints. */

export interface HsmJob {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly certificate: string;
  readonly authorities: string | undefined;
  readonly engine: string;
  /** `pkcs11:` URI with the PIN. */
  readonly key: string;
  readonly timeoutMs: number;
}

export type HsmReply =
  | { readonly status: number; readonly body: string; readonly dateMs: number | undefined }
  | { readonly error: { readonly code: string | undefined; readonly text: string } };
