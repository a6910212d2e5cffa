/** An application that keeps a database open and does nothing: `node silent.ts DATABASE`. It ends with its standard input. */
import { commandLine, openApplication, report } from './open.ts';

const { path } = commandLine();
const { database, insert } = openApplication(path, {});
for (let row = 0; row < 20; row++) insert.run(row, 300);
report('ready');
process.stdin.resume().once('end', () => database.close());
