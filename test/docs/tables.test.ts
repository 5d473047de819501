/** Docs say what the code's tables say. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { resolveConfig } from '../../model/config/config.ts';
import { keyDocs } from '../../model/config/docs.ts';
import { CARRIED_OUT, isCarriedOut } from '../../model/config/keys.ts';
import { fileLayer } from '../../model/config/layers.ts';
import { NOT_EXECUTED_FIELDS } from '../../model/executable.ts';
import { fieldDocs } from '../../model/spec/json-schema.ts';
import { DOC_FILES, DOC_TABLES, withTables } from '../../scripts/doc-tables.ts';

const root = join(import.meta.dirname, '..', '..');
const text = (file: string) => readFileSync(join(root, file), 'utf8');

test.each(Object.entries(DOC_TABLES))(
  'the tables of %s are those of the code (else: node scripts/docs.ts)',
  (file, tables) => {
    expect(text(file)).toBe(withTables(text(file), tables));
  },
);

test.each(Object.entries(DOC_FILES))('%s is what the code makes (else: node scripts/docs.ts)', (file, made) => {
  expect(text(file)).toBe(made);
});

test('every field that is refused is a field of the table', () => {
  const paths = fieldDocs().map(({ path }) => path);
  expect(paths.length).toBeGreaterThan(150);
  expect(NOT_EXECUTED_FIELDS.filter((path) => !paths.includes(path))).toEqual([]);
});

/** The keys that SkyPilot documents at the top, and what it says of some. */
const SKYPILOT_KEYS = [
  ...['workspace', 'active_workspace', 'workspaces', 'workspace_config', 'db', 'jobs.controller.resources'],
  ...['jobs.controller.high_availability', 'jobs.controller.autostop', 'jobs.controller.consolidation_mode'],
  ...['jobs.controller.controller_logs_gc_retention_hours', 'jobs.controller.task_logs_gc_retention_hours'],
  ...['jobs.bucket', 'jobs.force_disable_cloud_bucket', 'jobs.status_check.min_elapsed_seconds'],
  ...['jobs.status_check.min_retries', 'serve.controller.resources', 'serve.controller.high_availability'],
  ...['serve.controller.autostop', 'serve.controller.consolidation_mode', 'serve.bucket'],
  ...['serve.force_disable_cloud_bucket', 'allowed_clouds', 'admin_policy', 'docker', 'nvidia_gpus'],
  ...['api_server.endpoint', 'api_server.service_account_token', 'api_server.requests_retention_hours'],
  ...['provision.ssh_timeout', 'provision.install_conda', 'rbac.default_role', 'logs.store', 'logs.gcp', 'logs.aws'],
  ...[
    'daemons',
    'data',
    'dashboard.external_links',
    'metrics.prometheus',
    'aws.vpc_name',
    'gcp',
    'azure',
    'kubernetes',
    'ssh',
  ],
  ...['slurm', 'oci', 'vast', 'nebius', 'plugins'],
];

test.each(SKYPILOT_KEYS)('docs say of the key %s of the configuration whether it is carried out', (key) => {
  const row = text('docs/configuration.md').match(new RegExp(`^\\| \`${key}\` \\|.*\\| ([a-z ]+) \\|$`, 'm'));
  expect(row?.[1]).toBe(isCarriedOut(key.split('.')) ? 'yes' : 'not yet');
});

test('a key that is carried out is a key of the table, and no other one is said to be', () => {
  const yes = keyDocs().filter(({ carriedOut }) => carriedOut === 'yes');
  expect(yes.map(({ path }) => path).sort()).toEqual([...Object.keys(CARRIED_OUT), 'workspace'].sort());
});

test.each(keyDocs().filter(({ carriedOut }) => carriedOut === 'not yet'))(
  'the key $path, which is not carried out, is named in the warning when it is set',
  ({ path }) => {
    const tree = path
      .split('.')
      .reduceRight<unknown>((held, key) => ({ [key]: held }), path === 'provision.install_conda' ? true : 'set');
    const source = { name: 'config.yaml', kind: 'skypilot' } as const;
    const layer = fileLayer(JSON.stringify(tree), source, []);
    const { warning } = resolveConfig(layer === null ? [] : [layer]);
    expect(warning).toBe(`Configuration not carried out yet: ${path.split('.').slice(0, 2).join('.')} (config.yaml)`);
  },
);
