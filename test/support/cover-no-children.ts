/**
 * Preloaded when coverage is measured: what a test starts does not write coverage, too. Some of it is killed, and a file
 * that was cut off makes all of the coverage unreadable. The runner of tests has to hand the variable on to them.
 */
const isRunner =
  process.env['RIVULET_ISOLATION'] === 'process' && process.env['NODE_TEST_CONTEXT'] === undefined;
if (!isRunner) {
  // By then this process has taken note of it.
  setImmediate(() => delete process.env['NODE_V8_COVERAGE']);
}
