/** Databases of applications that bring more with them than the SQLite of this process has. */
import { DatabaseSync } from 'node:sqlite';

/** A connection that may write into the schema. */
export function schemaWriter(path: string): DatabaseSync {
  const connection = new DatabaseSync(path, { defensive: false, timeout: 2000 });
  connection.exec('PRAGMA writable_schema=ON');
  return connection;
}

/** Exchanges words in a definition, so that it names what only its application knows. */
export function redefine(path: string, name: string, from: string, to: string): void {
  using connection = schemaWriter(path);
  connection.prepare('UPDATE sqlite_schema SET sql = replace(sql, ?, ?) WHERE name = ?').run(from, to, name);
  nextSchema(connection);
}

/** Adds a trigger to table `t` whose syntax no SQLite of today can parse, as a migration by a newer one does. */
export function addNewerSyntax(path: string): void {
  using connection = schemaWriter(path);
  connection.exec(`INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES
    ('trigger', 'newer', 't', 0, 'CREATE TRIGGER newer AFTER DELETE ON t BEGIN SELECT syntax OVER FUTURE; END')`);
  nextSchema(connection);
}

function nextSchema(connection: DatabaseSync): void {
  const version = Number(connection.prepare('PRAGMA schema_version').get()?.['schema_version']);
  connection.exec(`PRAGMA schema_version=${version + 1}`);
}
