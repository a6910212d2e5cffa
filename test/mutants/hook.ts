/**
 * Preloaded into a process (`node --import`), plants the fault that `RIVULET_MUTANT` names: the source of one file is
 * changed while it is loaded. No file is edited, and without the variable nothing happens. Threads and child
 * processes inherit it through `NODE_OPTIONS`; see `environment.ts`.
 */
import { registerHooks } from 'node:module';
import { MUTANT_VARIABLE, urlOf } from './mutant.ts';
import { plant } from './plant.ts';
import { mutantOf } from './table.ts';

const name = process.env[MUTANT_VARIABLE];

if (name !== undefined && name !== '') {
  const mutant = mutantOf(name);
  const target = urlOf(mutant);
  registerHooks({
    load(url, context, nextLoad) {
      const loaded = nextLoad(url, context);
      if (url !== target || loaded.source === undefined || loaded.source === null) return loaded;
      const source = loaded.source;
      const text = typeof source === 'string' ? source : Buffer.from(source as Uint8Array).toString('utf8');
      return { ...loaded, source: plant(mutant, text) };
    },
  });
}
