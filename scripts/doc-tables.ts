/** The tables of docs/ that say what a table of the code says, made from it. */
import { readFileSync } from 'node:fs';
import { decodeCatalog } from '../catalogs/format.ts';
import { catalogFiles } from '../catalogs/load.ts';
import { CLUSTER_STATUSES, type OperationKind } from '../model/cluster.ts';
import { WHEN_IDLE, WHILE_RUNNING } from '../model/cluster-commands.ts';
import { UPDATES } from '../model/commands.ts';
import { keyDocs } from '../model/config/docs.ts';
import { ERROR_KINDS, ERROR_POLICIES } from '../model/errors.ts';
import { NOT_EXECUTED_FIELDS } from '../model/executable.ts';
import { JOB_STATUSES, JOB_TRANSITIONS } from '../model/job.ts';
import { METRICS, type Metric } from '../model/metrics.ts';
import { fieldDocs, taskJsonSchema } from '../model/spec/json-schema.ts';
import { launchMessages, managedJobMessage } from './example-messages.ts';

const COMMANDS = Object.keys(UPDATES) as (keyof typeof UPDATES)[];
const OPERATIONS = Object.keys(WHILE_RUNNING) as OperationKind[];

function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(header), `|${header.map(() => '---|').join('')}`, ...rows.map(line)].join('\n');
}

const code = (text: string) => `\`${text}\``;

/** Of the catalogues that Styx brings; the reader's own are not of the tree. */
function catalogSources(): string[][] {
  return catalogFiles('/nonexistent').flatMap(({ path }) => {
    const { info, length } = decodeCatalog(readFileSync(path, 'utf8'), path);
    return info.sources.map((source, index) => [
      index === 0 ? info.cloud : '',
      index === 0 ? String(length) : '',
      source.of,
      `${source.from}${source.commit === null ? '' : `, ${source.commit}`}`.replaceAll('*', '\\*'),
      source.date ?? 'unknown',
      source.license ?? 'none stated',
    ]);
  });
}

/** By file below the root and by the name in its `<!-- begin NAME -->` and `<!-- end NAME -->`. */
export const DOC_TABLES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  'docs/concepts.md': {
    'commands-running': table(
      ['running', ...COMMANDS.map(code)],
      OPERATIONS.map((kind) => [code(kind), ...COMMANDS.map((command) => WHILE_RUNNING[kind][command])]),
    ),
    'commands-idle': table(
      ['state', ...COMMANDS.map(code)],
      CLUSTER_STATUSES.map((status) => [status, ...COMMANDS.map((command) => WHEN_IDLE[status][command])]),
    ),
    'job-states': table(
      ['state', 'may become'],
      JOB_STATUSES.map((status) => [status, JOB_TRANSITIONS[status].join(', ') || '(the end)']),
    ),
  },
  'docs/failure-semantics.md': {
    'error-kinds': table(
      ['kind', 'retried by itself', 'a launch then avoids the', 'exit code'],
      ERROR_KINDS.map((kind) => {
        const { retried, blocks, exitCode } = ERROR_POLICIES[kind];
        return [code(kind), retried ? 'yes' : 'no', blocks ?? '-', String(exitCode)];
      }),
    ),
  },
  'docs/configuration.md': {
    keys: table(
      ['key', 'what it says', 'default', 'carried out'],
      keyDocs().map(({ path, description, initial, carriedOut }) => [
        code(path),
        description,
        initial === 'none' ? '' : initial,
        carriedOut,
      ]),
    ),
  },
  'docs/observing.md': {
    metrics: table(
      ['metric', 'kind', 'labels', 'what it says'],
      Object.values(METRICS).map(({ name, kind, labels, help }: Metric) => [
        code(name),
        kind,
        Object.entries(labels)
          .map(([label, values]) => (values === null ? code(label) : `${code(label)}: ${values.join(', ')}`))
          .join('; '),
        help,
      ]),
    ),
  },
  'docs/catalogs.md': {
    sources: table(['cloud', 'rows', 'figures', 'source, commit', 'date', 'license'], catalogSources()),
  },
  'docs/task-yaml.md': {
    refused: NOT_EXECUTED_FIELDS.map(code).join(', '),
    fields: table(
      ['field', 'value', 'default'],
      fieldDocs().map(({ path, description, initial }) => [code(path), description.replaceAll('|', '\\|'), initial]),
    ),
  },
};

/** The text with all its tables as the code has them now. @throws when a table has no place in the text */
export function withTables(text: string, tables: Readonly<Record<string, string>>): string {
  return Object.entries(tables).reduce((whole, [name, made]) => {
    const place = new RegExp(`(<!-- begin ${name} -->\n)[\\s\\S]*?(<!-- end ${name} -->)`);
    if (!place.test(whole)) throw new Error(`there is no place for the table ${name}`);
    return whole.replace(place, (_, begin: string, end: string) => `${begin}\n${made}\n\n${end}`);
  }, text);
}

/** Whole files that are made from the code, by their path below the root. */
export const DOC_FILES: Readonly<Record<string, string>> = {
  'examples/python/launch.json': `${JSON.stringify(launchMessages(), null, 2)}\n`,
  'examples/python/managed-job.json': `${JSON.stringify(managedJobMessage(), null, 2)}\n`,
  'docs/task.schema.json': `${JSON.stringify(taskJsonSchema(), null, 2)}\n`,
};
