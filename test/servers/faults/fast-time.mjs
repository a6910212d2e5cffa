/**
 * Loaded before a program (`node --import`), lets its time pass faster: waits are shorter by the factor in `TIME_FACTOR`, and both of
 * its clocks go faster by it. What the program measures and waits for agrees; only the world around it seems slower.
 */
import { createRequire, syncBuiltinESMExports } from 'node:module';

const factor = Number(process.env.TIME_FACTOR);
const promises = createRequire(import.meta.url)('node:timers/promises');
const { setTimeout: wait } = promises;
const [now, monotonic] = [Date.now, performance.now.bind(performance)];
const startedAt = now();

promises.setTimeout = (ms, value, options) => wait(ms === undefined ? ms : ms / factor, value, options);
Date.now = () => startedAt + (now() - startedAt) * factor;
performance.now = () => monotonic() * factor;
syncBuiltinESMExports();
