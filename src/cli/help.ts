/** Help, made from the commands' data. */
import type { Argument, Command, Note } from './command.ts';
import { loadCommands } from './commands.ts';
import type { Flag } from './flags.ts';

const INDENT = '  ';
const WIDTH_MAX = 100;

/** What `rivulet` and `rivulet help` print. */
export async function formatOverview(): Promise<string> {
  const commands = (await loadCommands()).map(({ name, summary }) => ({ name, help: summary }));
  return [
    'rivulet replicates SQLite databases as they change, and restores them to any kept point in time.\n',
    section('Usage', [`${INDENT}rivulet COMMAND [FLAGS] [ARGUMENTS]`]),
    section('Commands', pairs(commands)),
    section('First steps', [
      `${INDENT}rivulet replicate app.db file:///backup/app     # keep a copy while the application runs`,
      `${INDENT}rivulet restore -o copy.db file:///backup/app   # rebuild the database from it`,
    ]),
    'Flags take one dash or two. "rivulet COMMAND -h" explains a command.\n',
  ].join('\n');
}

/** What `rivulet help COMMAND` and `rivulet COMMAND -h` print. */
export function formatCommandHelp(command: Command): string {
  return [
    `${wrapped(`${command.name}: ${command.description}`, '')}\n`,
    section('Usage', [`${INDENT}rivulet ${usage(command)}`]),
    section('Arguments', pairs(command.arguments)),
    section('Flags', pairs(command.flags.map(flagNote))),
    section('Examples', examples(command)),
    section('Environment', pairs(command.environment ?? [])),
    section('Exit status', pairs(exitCodes(command))),
  ]
    .filter((part) => part !== '')
    .join('\n');
}

/** What holds for every command, in the words of this one where it has its own. */
function exitCodes({ exitCodes: own = [] }: Command): Note[] {
  const common = [
    { name: '0', help: 'done' },
    { name: '1', help: 'failed; the reason is on stderr' },
  ];
  return [...new Map([...common, ...own].map((note) => [note.name, note])).values()];
}

function usage(command: Command): string {
  return [
    command.name,
    ...(command.flags.length > 0 ? ['[FLAGS]'] : []),
    ...command.arguments.map(placeholder),
  ].join(' ');
}

function placeholder({ name, optional, repeated }: Argument): string {
  const word = repeated === true ? `${name}...` : name;
  return optional === true ? `[${word}]` : word;
}

function flagNote({ name, value, help, choices, defaultValue }: Flag): Note {
  const facts = [
    ...(choices === undefined ? [] : [choices.join('|')]),
    ...(defaultValue === undefined ? [] : [`default ${defaultValue}`]),
  ];
  const suffix = facts.length > 0 ? ` (${facts.join('; ')})` : '';
  return { name: value === undefined ? `-${name}` : `-${name} ${value}`, help: help + suffix };
}

function examples(command: Command): string[] {
  return command.examples.flatMap(({ command: line, does }) => [`${INDENT}# ${does}`, `${INDENT}${line}`]);
}

function section(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `${title}:\n${lines.join('\n')}\n`;
}

/** Names in one column, wrapped explanations in a second. */
function pairs(notes: readonly Note[]): string[] {
  const width = Math.max(0, ...notes.map(({ name }) => name.length)) + 2;
  const indent = INDENT + ' '.repeat(width);
  return notes.map(({ name, help }) => INDENT + name.padEnd(width) + wrapped(help, indent));
}

function wrapped(text: string, indent: string): string {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && indent.length + line.length + 1 + word.length > WIDTH_MAX) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line].join(`\n${indent}`);
}
