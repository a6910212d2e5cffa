/**
 * An SFTP server with nothing but version 3 of the protocol, on `ssh2`'s server side and a folder of the test's own:
 * for what OpenSSH cannot show. It knows none of OpenSSH's extensions, and can be told to be slow, odd or unreliable.
 */
import * as fs from 'node:fs';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, type Server, createServer } from 'node:net';
import { dirname, join } from 'node:path';
import ssh2 from 'ssh2';
import type { AuthContext, Connection, SFTPWrapper } from 'ssh2';
import { Scratch } from './scratch.ts';

const { STATUS_CODE } = ssh2.utils.sftp;

export interface BareServerBehaviour {
  /** What rename does when the new name is taken; the protocol says that it fails. */
  rename: 'refuses' | 'replaces';
  /** Which logins there are; each is tried with `password`. */
  logins: readonly ('password' | 'keyboard-interactive')[];
  /** Names of folders on each page of a folder that does not exist; undefined says that this was all. */
  inventedFolders: ((path: string, page: number) => readonly string[] | undefined) | undefined;
  /** At most so many bytes come with each answer to a read. */
  readBytesMax: number;
  /** Called with each request; what it says is done with it. */
  onRequest: (name: string, count: number) => 'answer' | 'ignore' | 'drop-connection' | 'lose' | 'fail';
}

export class BareSftpServer implements AsyncDisposable {
  readonly host = '127.0.0.1';
  readonly user = 'somebody';
  readonly password = 'a password';
  readonly behaviour: BareServerBehaviour;
  /** Every request so far, by name. */
  readonly requests: string[] = [];
  connectionsMade = 0;
  readonly #scratch = new Scratch();
  readonly #listener: Server;
  readonly #connections = new Set<Connection>();
  readonly #hostKey: string;

  private constructor(behaviour: Partial<BareServerBehaviour>) {
    this.behaviour = {
      rename: 'refuses',
      logins: ['password'],
      readBytesMax: Infinity,
      inventedFolders: undefined,
      onRequest: () => 'answer',
      ...behaviour,
    };
    const { privateKey } = generateKeyPairSync('ec', {
      namedCurve: 'P-256',
      privateKeyEncoding: { type: 'sec1', format: 'pem' },
      publicKeyEncoding: { type: 'spki', format: 'pem' },
    });
    const parsed = ssh2.utils.parseKey(privateKey);
    if (parsed instanceof Error) throw parsed;
    this.#hostKey = `${parsed.type} ${parsed.getPublicSSH().toString('base64')}`;
    const server = new ssh2.Server({ hostKeys: [privateKey] }, (connection) => this.#serve(connection));
    // Otherwise each answer waits for 40 ms.
    this.#listener = createServer({ noDelay: true }, (socket) => server.injectSocket(socket));
  }

  static async start(behaviour: Partial<BareServerBehaviour> = {}): Promise<BareSftpServer> {
    const server = new BareSftpServer(behaviour);
    server.#listener.listen(0, server.host);
    await once(server.#listener, 'listening');
    return server;
  }

  get port(): number {
    return (this.#listener.address() as AddressInfo).port;
  }

  get hostKey(): string {
    return this.#hostKey;
  }

  /** What the server keeps, as this process sees it. */
  get directory(): string {
    return this.#scratch.path;
  }

  get connections(): number {
    return this.#connections.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const connection of this.#connections) connection.end();
    const closed = once(this.#listener, 'close');
    this.#listener.close();
    await closed;
    this.#scratch[Symbol.dispose]();
  }

  #serve(connection: Connection): void {
    this.#connections.add(connection);
    this.connectionsMade++;
    connection
      .on('error', () => undefined)
      .on('close', () => this.#connections.delete(connection))
      .on('authentication', (context) => this.#authenticate(context))
      .on('session', (accept) => {
        accept().on('sftp', (acceptSftp) => new Session(this, connection, acceptSftp()));
      });
  }

  #authenticate(context: AuthContext): void {
    const { logins } = this.behaviour;
    if (context.method === 'password' && logins.includes('password')) {
      if (context.password === this.password) context.accept();
      else context.reject([...logins]);
    } else if (context.method === 'keyboard-interactive' && logins.includes('keyboard-interactive')) {
      context.prompt([{ prompt: 'Password: ', echo: false }], (answers) => {
        if (answers[0] === this.password) context.accept();
        else context.reject([...logins]);
      });
    } else context.reject([...logins]);
  }
}

interface OpenFolder {
  readonly path: string;
  names: string[] | undefined;
  /** Asked for each page instead, when it is there. */
  readonly invented?: (page: number) => readonly string[] | undefined;
  pages?: number;
}

/** One client's SFTP session; every request is answered at once and in order. */
class Session {
  readonly #server: BareSftpServer;
  readonly #connection: Connection;
  readonly #sftp: SFTPWrapper;
  readonly #handles = new Map<number, number | OpenFolder>();
  readonly #counts = new Map<string, number>();
  #nextHandle = 1;

  constructor(server: BareSftpServer, connection: Connection, sftp: SFTPWrapper) {
    this.#server = server;
    this.#connection = connection;
    this.#sftp = sftp;
    sftp.on('error', () => undefined);
    this.#serveFiles();
    this.#serveFolders();
    this.#serveNames();
  }

  #serveFiles(): void {
    const sftp = this.#sftp;
    sftp.on('OPEN', (id, path, flags) =>
      this.#do('OPEN', id, () => {
        const mode = ssh2.utils.sftp.flagsToString(flags);
        if (mode === null) throw new Error('odd flags');
        sftp.handle(id, this.#keep(fs.openSync(this.#at(path), mode)));
      }),
    );
    sftp.on('READ', (id, handle, offset, length) =>
      this.#do('READ', id, () => {
        const bytes = Buffer.alloc(Math.min(length, this.#server.behaviour.readBytesMax));
        const count = fs.readSync(this.#file(handle), bytes, 0, bytes.length, offset);
        if (count === 0) sftp.status(id, STATUS_CODE.EOF);
        else sftp.data(id, bytes.subarray(0, count));
      }),
    );
    sftp.on('WRITE', (id, handle, offset, data) =>
      this.#do('WRITE', id, (isLost) => {
        if (!isLost) fs.writeSync(this.#file(handle), data, 0, data.length, offset);
        sftp.status(id, STATUS_CODE.OK);
      }),
    );
    sftp.on('FSTAT', (id, handle) =>
      this.#do('FSTAT', id, () => sftp.attrs(id, attributesOf(fs.fstatSync(this.#file(handle))))),
    );
    sftp.on('CLOSE', (id, handle) =>
      this.#do('CLOSE', id, () => {
        const open = this.#open(handle);
        if (typeof open === 'number') fs.closeSync(open);
        this.#handles.delete(handle.readUInt32BE(0));
        sftp.status(id, STATUS_CODE.OK);
      }),
    );
  }

  #serveFolders(): void {
    const sftp = this.#sftp;
    sftp.on('OPENDIR', (id, path) =>
      this.#do('OPENDIR', id, () => {
        const { inventedFolders } = this.#server.behaviour;
        if (inventedFolders !== undefined) {
          const invented = (page: number): readonly string[] | undefined => inventedFolders(path, page);
          return sftp.handle(id, this.#keep({ path, names: undefined, invented, pages: 0 }));
        }
        sftp.handle(id, this.#keep({ path: this.#at(path), names: fs.readdirSync(this.#at(path)) }));
      }),
    );
    sftp.on('READDIR', (id, handle) =>
      this.#do('READDIR', id, () => {
        const folder = this.#open(handle);
        if (typeof folder === 'number') throw new Error('not a folder');
        if (folder.invented !== undefined) {
          const page = folder.invented(folder.pages!++);
          if (page === undefined) return sftp.status(id, STATUS_CODE.EOF);
          const attrs = { mode: 0o40755, uid: 0, gid: 0, size: 0, atime: 0, mtime: 0 };
          return sftp.name(
            id,
            page.map((filename) => ({ filename, longname: filename, attrs })),
          );
        }
        const names = folder.names?.splice(0, 50) ?? [];
        if (names.length === 0) return sftp.status(id, STATUS_CODE.EOF);
        sftp.name(
          id,
          names.map((filename) => ({
            filename,
            longname: filename,
            attrs: attributesOf(fs.lstatSync(join(folder.path, filename))),
          })),
        );
      }),
    );
    sftp.on('MKDIR', (id, path) => this.#doSilently('MKDIR', id, () => fs.mkdirSync(this.#at(path))));
    sftp.on('RMDIR', (id, path) => this.#doSilently('RMDIR', id, () => fs.rmdirSync(this.#at(path))));
  }

  #serveNames(): void {
    const sftp = this.#sftp;
    sftp.on('STAT', (id, path) =>
      this.#do('STAT', id, () => sftp.attrs(id, attributesOf(fs.statSync(this.#at(path))))),
    );
    sftp.on('LSTAT', (id, path) =>
      this.#do('LSTAT', id, () => sftp.attrs(id, attributesOf(fs.lstatSync(this.#at(path))))),
    );
    sftp.on('REMOVE', (id, path) => this.#doSilently('REMOVE', id, () => fs.unlinkSync(this.#at(path))));
    sftp.on('RENAME', (id, from, to) =>
      this.#doSilently('RENAME', id, () => {
        const isTaken = fs.existsSync(this.#at(to));
        if (isTaken && this.#server.behaviour.rename === 'refuses') throw new Error('the name is taken');
        fs.renameSync(this.#at(from), this.#at(to));
      }),
    );
  }

  #doSilently(name: string, id: number, act: () => void): void {
    this.#do(name, id, () => {
      act();
      this.#sftp.status(id, STATUS_CODE.OK);
    });
  }

  #do(name: string, id: number, act: (isLost: boolean) => void): void {
    const count = (this.#counts.get(name) ?? 0) + 1;
    this.#counts.set(name, count);
    this.#server.requests.push(name);
    const verdict = this.#server.behaviour.onRequest(name, count);
    if (verdict === 'ignore') return;
    if (verdict === 'drop-connection') {
      this.#connection.end();
      return;
    }
    try {
      if (verdict === 'fail') throw new Error('as it was told');
      act(verdict === 'lose');
    } catch (error) {
      this.#sftp.status(id, statusFor(error));
    }
  }

  /** Paths are below the server's folder; a relative one begins there too. */
  #at(path: string): string {
    const at = join(this.#server.directory, path);
    if (!`${at}/`.startsWith(`${this.#server.directory}/`)) throw new Error(`outside: ${dirname(at)}`);
    return at;
  }

  #keep(open: number | OpenFolder): Buffer {
    const handle = Buffer.alloc(4);
    handle.writeUInt32BE(this.#nextHandle);
    this.#handles.set(this.#nextHandle++, open);
    return handle;
  }

  #open(handle: Buffer): number | OpenFolder {
    const open = this.#handles.get(handle.readUInt32BE(0));
    if (open === undefined) throw new Error('no such handle');
    return open;
  }

  #file(handle: Buffer): number {
    const open = this.#open(handle);
    if (typeof open !== 'number') throw new Error('not a file');
    return open;
  }
}

function statusFor(error: unknown): number {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'ENOENT' || code === 'ENOTDIR') return STATUS_CODE.NO_SUCH_FILE;
  if (code === 'EACCES' || code === 'EPERM') return STATUS_CODE.PERMISSION_DENIED;
  return STATUS_CODE.FAILURE;
}

function attributesOf(stats: fs.Stats): {
  mode: number;
  uid: number;
  gid: number;
  size: number;
  atime: number;
  mtime: number;
} {
  const { mode, uid, gid, size, atimeMs, mtimeMs } = stats;
  return { mode, uid, gid, size, atime: Math.floor(atimeMs / 1000), mtime: Math.floor(mtimeMs / 1000) };
}
