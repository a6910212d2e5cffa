/** SQLite's opinion of what was built, and building into a file of the caller's. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { describe, it } from 'node:test';
import { checkIntegrity } from '../../src/restore/integrity.ts';
import { buildInto } from '../../src/restore/restore.ts';
import { fillSmallReplica, lastPoint, ReplicaMaker } from '../support/make-replica.ts';
import { MemoryStore } from '../support/memory-store.ts';
import { Scratch } from '../support/scratch.ts';
import { addNewerSyntax, redefine, schemaWriter } from '../support/strange-schema.ts';

describe('what was built', () => {
  it('goes into a file of the caller, whole', async () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    using scratch = new Scratch();
    const fd = openSync(scratch.file('own'), 'wx+');
    try {
      const built = await buildInto(
        { fd, folder: scratch.path, openOverflow: () => openSync(scratch.file('overflow'), 'wx+') },
        { store: maker.store, target: {} },
      );
      assert.deepEqual(built.unprovenReasons, []);
    } finally {
      closeSync(fd);
    }
    assert.ok(readFileSync(scratch.file('own')).equals(lastPoint(maker).database));
    assert.deepEqual(scratch.names(), ['own']);
  });

  it('is refused with what SQLite says when its pages do not fit together, and when it is no database', () => {
    using maker = new ReplicaMaker(new MemoryStore());
    fillSmallReplica(maker);
    using scratch = new Scratch();
    const path = scratch.file('db');
    const whole = lastPoint(maker).database;
    writeFileSync(path, whole);
    for (const check of ['none', 'quick', 'full'] as const) checkIntegrity(path, check);
    const torn = Buffer.from(whole);
    torn.fill(0x5a, 4096, 8192);
    for (const bytes of [torn, Buffer.alloc(8192, 1)]) {
      writeFileSync(path, bytes);
      checkIntegrity(path, 'none');
      for (const check of ['quick', 'full'] as const) {
        assert.throws(() => checkIntegrity(path, check), {
          code: 'INTEGRITY',
          message: new RegExp(`${check} check: .+`),
        });
      }
    }
    assert.deepEqual(scratch.names(), ['db']);
  });
});

/** A sound table with an index, and what the application makes beside it. */
function make(path: string, sql: string): void {
  using database = new DatabaseSync(path);
  database.function('shout', { deterministic: true }, (text) => String(text).toUpperCase());
  database.exec("CREATE TABLE t (a); CREATE INDEX ta ON t (a); INSERT INTO t VALUES ('one'), ('two')");
  database.exec(sql);
}

/** Adds a row to table `t` behind the back of its index, as a lost page would. */
function loseIndexEntry(path: string): void {
  const definition = (database: DatabaseSync): { name: unknown; rootpage: unknown; sql: unknown } => {
    const row = database
      .prepare("SELECT name, rootpage, sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 't'")
      .get();
    return { name: row?.['name'], rootpage: row?.['rootpage'], sql: row?.['sql'] };
  };
  const { name, rootpage, sql } = inSchema(path, (database) => {
    const found = definition(database);
    database.exec("DELETE FROM sqlite_schema WHERE type = 'index' AND tbl_name = 't'");
    return found;
  });
  inSchema(path, (database) => database.exec("INSERT INTO t VALUES ('unknown to the index')"));
  inSchema(path, (database) =>
    database
      .prepare(
        "INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES ('index', ?, 't', ?, ?)",
      )
      .run(String(name), Number(rootpage), String(sql)),
  );
}

function inSchema<T>(path: string, work: (database: DatabaseSync) => T): T {
  using database = schemaWriter(path);
  return work(database);
}

describe('what only the application has', () => {
  const collation = (path: string): void => {
    make(
      path,
      "CREATE TABLE u (x TEXT COLLATE NOCASE); CREATE INDEX ux ON u (x); INSERT INTO u VALUES ('q')",
    );
    redefine(path, 'u', 'NOCASE', 'unicase');
  };
  const primaryKey = (path: string): void => {
    make(
      path,
      "CREATE TABLE u (x TEXT COLLATE NOCASE PRIMARY KEY) WITHOUT ROWID; INSERT INTO u VALUES ('q')",
    );
    redefine(path, 'u', 'NOCASE', 'unicase');
  };
  const expression = (path: string): void =>
    make(path, "CREATE TABLE u (x); CREATE INDEX ux ON u (shout(x)); INSERT INTO u VALUES ('q')");
  const tokenizer = (path: string): void => {
    make(path, "CREATE VIRTUAL TABLE u USING fts5 (x); INSERT INTO u VALUES ('q')");
    redefine(path, 'u', 'fts5 (x)', "fts5 (x, tokenize = 'better')");
  };
  const syntax = (path: string): void => {
    make(path, '');
    addNewerSyntax(path);
  };
  const cases = { collation, primaryKey, expression, tokenizer, syntax };
  const lacks = {
    collation: /: no such collation sequence: unicase\. .* but u$/,
    primaryKey: /unicase\. .* but u$/,
    expression: /unknown function: shout\(\)\. .* by itself$/,
    tokenizer: /\. .* but u$/,
    syntax: /: newer: near "FUTURE"/,
  };

  for (const [what, prepare] of Object.entries(cases)) {
    it(`is left out of the check, and damage beside it is found: ${what}`, () => {
      using scratch = new Scratch();
      const path = scratch.file('db');
      prepare(path);
      const leftOut = checkIntegrity(path, 'full');
      assert.match(leftOut.join('|'), lacks[what as keyof typeof lacks]);
      assert.match(leftOut.join('|'), /^SQLite's own check could not run on the whole database/);
      checkIntegrity(path, 'quick');
      assert.deepEqual(checkIntegrity(path, 'none'), []);
      loseIndexEntry(path);
      assert.throws(() => checkIntegrity(path, 'full'), {
        code: 'INTEGRITY',
        message: /missing from index ta/,
      });
      assert.deepEqual(scratch.names(), ['db']);
    });
  }

  it('a virtual table without its module leaves nothing out: SQLite passes it over', () => {
    using scratch = new Scratch();
    make(scratch.file('db'), 'CREATE VIRTUAL TABLE u USING rtree (id, a, b)');
    redefine(scratch.file('db'), 'u', 'rtree', 'vec0');
    assert.deepEqual(checkIntegrity(scratch.file('db'), 'full'), []);
  });

  it('an order of its own under a name that SQLite has, too, is no damage while the index holds every row', () => {
    using scratch = new Scratch();
    const path = scratch.file('db');
    // Sorted by bytes; the definition says NOCASE then, as if the application's NOCASE were such an order.
    make(
      path,
      "CREATE TABLE u (x); CREATE INDEX ux ON u (x COLLATE BINARY); INSERT INTO u VALUES ('B'), ('a'), ('C')",
    );
    redefine(path, 'ux', 'BINARY', 'NOCASE');
    const [reason = ''] = checkIntegrity(path, 'full');
    assert.match(reason, /does not agree with the order of an index \(row \d+ missing from index ux\)/);
    const bytes = readFileSync(path);
    const at = bytes.lastIndexOf('C');
    assert.ok(at > bytes.length - 4096, 'in the index, whose page is the last');
    writeFileSync(path, bytes.fill('D', at, at + 1));
    assert.throws(() => checkIntegrity(path, 'full'), {
      code: 'INTEGRITY',
      message: /missing from index ux/,
    });
  });

  it('so it is for an index of a function that extensions replace, and of a table without rowids', () => {
    for (const [sql, from, to] of [
      // Made by length(), and said to be made by lower(), as if the application's lower() gave numbers.
      [
        "CREATE TABLE u (x); CREATE INDEX ux ON u (length(x)); INSERT INTO u VALUES ('B'), ('aa')",
        'length',
        'lower',
      ],
      [
        `CREATE TABLE u (k PRIMARY KEY, x) WITHOUT ROWID; CREATE INDEX ux ON u (x COLLATE BINARY);
         INSERT INTO u VALUES (1, 'B'), (2, 'a')`,
        'BINARY',
        'NOCASE',
      ],
    ] as const) {
      using scratch = new Scratch();
      make(scratch.file('db'), sql);
      redefine(scratch.file('db'), 'ux', from, to);
      assert.match(
        checkIntegrity(scratch.file('db'), 'full').join('|'),
        /not agree with the order of an index/,
      );
    }
    using scratch = new Scratch();
    make(
      scratch.file('db'),
      "CREATE TABLE u (x); CREATE INDEX ux ON u (length(x)); INSERT INTO u VALUES ('B')",
    );
    redefine(scratch.file('db'), 'ux', 'length', 'hex');
    assert.throws(
      () => checkIntegrity(scratch.file('db'), 'full'),
      { code: 'INTEGRITY' },
      'nobody replaces that',
    );
  });

  it('a wrong number of entries is damage in any order', () => {
    using scratch = new Scratch();
    const path = scratch.file('db');
    make(path, 'DROP INDEX ta; CREATE INDEX ta ON t (a COLLATE NOCASE)');
    loseIndexEntry(path);
    assert.throws(() => checkIntegrity(path, 'full'), { code: 'INTEGRITY', message: /wrong # of entries/ });
  });

  it('a copy that cannot be read says nothing about the replica', () => {
    using scratch = new Scratch();
    assert.throws(() => checkIntegrity(scratch.file('none'), 'quick'), { code: 'OUTPUT_UNWRITABLE' });
  });
});
