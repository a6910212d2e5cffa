/** One file under two names is replicated once, whatever names and state directories there are. */
import assert from 'node:assert/strict';
import { existsSync, linkSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runtimeDirectories, runtimeWorld } from '../../src/base/runtime-directory.ts';
import { claimDatabase } from '../../src/primary/database-claim.ts';
import { identify } from '../../src/primary/database-file.ts';
import { ChildScript } from '../support/child-script.ts';
import { LiveDatabase, openPrimary } from '../support/live-database.ts';
import { noRuntimeDirectories } from '../support/no-runtime-directories.ts';
import { Scratch } from '../support/scratch.ts';

describe('a database under a second name', () => {
  it('is refused in the same process, and free again afterwards', async () => {
    using live = new LiveDatabase();
    live.insert(1);
    const link = live.scratch.file('link.db');
    symlinkSync('app.db', link);
    const first = openPrimary(live.path, { metaPath: live.scratch.file('one') });
    await first.refresh();
    const second = openPrimary(link, { metaPath: live.scratch.file('two') });
    await assert.rejects(second.refresh(), {
      code: 'DB_IN_USE',
      message: /link\.db is the same database as .*app\.db/,
    });
    live.insert(1);
    await first.refresh();
    assert.equal(live.checkpoint('TRUNCATE').busy, 1, 'the locks of the first one are still there');
    await first.close();
    await second.refresh();
    await second.close();
  });

  it('is refused in another process: a link, a hard link, another state directory', async () => {
    using live = new LiveDatabase();
    live.insert(1);
    mkdirSync(live.scratch.file('other'));
    symlinkSync('../app.db', live.scratch.file('other/link.db'));
    linkSync(live.path, live.scratch.file('other/hard.db'));
    const identity = identify(live.path) ?? assert.fail();
    await using holder = new ChildScript('claim-script.ts', [live.path]);
    assert.equal(await holder.line(), 'claimed');
    for (const name of ['other/link.db', 'other/hard.db', 'app.db']) {
      const primary = openPrimary(live.scratch.file(name), { metaPath: live.scratch.file('meta') });
      await assert.rejects(primary.refresh(), { code: 'DB_IN_USE', message: /by another process already/ });
      await primary.close();
    }
    // However it dies.
    await holder.kill('SIGKILL');
    claimDatabase(live.path, identity).release();
  });

  it('keeps others out also after its lock file was cleaned up', async () => {
    using live = new LiveDatabase();
    const identity = identify(live.path) ?? assert.fail();
    const claim = claimDatabase(live.path, identity);
    const name = `${identity.device}-${identity.inode}.lock`;
    const place = runtimeDirectories(runtimeWorld())
      .map((directory) => join(directory, name))
      .find((path) => existsSync(path));
    assert.ok(place !== undefined);
    rmSync(place);
    claim.keep();
    await using other = new ChildScript('claim-script.ts', [live.path]);
    assert.match(await other.line(), /^DB_IN_USE/);
    claim.release();
    assert.equal(existsSync(place), false, 'nothing is left behind');
  });

  it('where there is no place for its lock, it is known in this process', () => {
    using scratch = new Scratch();
    using _none = noRuntimeDirectories();
    const identity = { device: '1', inode: '2' };
    const claim = claimDatabase(scratch.file('a.db'), identity);
    assert.throws(() => claimDatabase(scratch.file('b.db'), identity), { code: 'DB_IN_USE' });
    claim.keep();
    claim.release();
    claimDatabase(scratch.file('b.db'), identity).release();
  });
});
