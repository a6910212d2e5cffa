/** Set by `bin/rivulet`: the names of what it has set for this process alone. */
const LIST = 'RIVULET_OWN_VARIABLES';

/**
 * Removes what the launcher has put into the environment. The C library read it when the process started; an application
 * that Rivulet starts shall find the environment as it was.
 */
export function forgetOwnVariables(environment: NodeJS.ProcessEnv): void {
  const names = (environment[LIST] ?? '').split(' ').filter((name) => name !== '');
  for (const name of [LIST, ...names]) delete environment[name];
}
