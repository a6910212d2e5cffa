import { RivuletError } from '../../base/errors.ts';
import { visibleText } from '../../base/visible-text.ts';
import type { Command } from '../command.ts';
import { EXIT_OK } from '../exit-codes.ts';
import { writeJson } from '../output.ts';
import { CONFIG_ENVIRONMENT, CONFIG_FLAGS, JSON_FLAG } from '../shared-flags.ts';

export const command: Command = {
  name: 'config',
  summary: 'Check the configuration and print what is in effect',
  description:
    'Reads the configuration, reports its errors with line and column, and prints it with all defaults filled in and ' +
    'secrets masked. "config schema" prints its JSON Schema, for editors.',
  arguments: [{ name: 'schema', help: 'print the JSON Schema instead', optional: true }],
  flags: [...CONFIG_FLAGS, JSON_FLAG],
  examples: [
    { command: 'rivulet config -config ./rivulet.yml', does: 'check a file before using it' },
    { command: 'rivulet config schema > rivulet.schema.json', does: 'completion and checks in an editor' },
  ],
  environment: CONFIG_ENVIRONMENT,
  run: async (context) => {
    const [what] = context.arguments;
    if (what === 'schema') {
      const { configJsonSchema } = await import('../../config/json-schema.ts');
      writeJson(context.stdout, configJsonSchema());
      return EXIT_OK;
    }
    if (what !== undefined)
      throw new RivuletError('USAGE', `config takes "schema" or nothing, not "${what}"`);
    const { loadConfigFor } = await import('../load-config.ts');
    const { effectiveConfig, effectiveConfigYaml } = await import('../../config/effective.ts');
    const { config, file } = await loadConfigFor(context);
    // Nothing here has to be ended gracefully.
    using _unhandled = context.signals.unhandled();
    const { assertEncryption } = await import('../../daemon/encryption.ts');
    await assertEncryption(config);
    const { warningsAtStart } = await import('../../daemon/trust-warnings.ts');
    const { placeWarningsAtStart } = await import('../../daemon/place-warnings.ts');
    for (const warning of [...warningsAtStart(config, file), ...placeWarningsAtStart(config)])
      context.stderr.write(`rivulet: warning: ${visibleText(warning)}\n`);
    if (context.flags.boolean('json')) writeJson(context.stdout, effectiveConfig(config));
    else context.stdout.write(effectiveConfigYaml(config));
    return EXIT_OK;
  },
};
