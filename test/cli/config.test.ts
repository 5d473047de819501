import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';

const main = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');
let home: string;
let project: string;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'styx-config-home-'));
  project = join(home, 'project');
  for (const dir of [project, join(home, '.sky'), join(home, '.styx')]) mkdirSync(dir);
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

/** A command that never gets as far as a server. */
function styx(...args: string[]) {
  const result = spawnSync(process.execPath, [main, ...args], {
    cwd: project,
    encoding: 'utf8',
    env: { PATH: process.env.PATH, HOME: home, STYX_CACHE: join(home, 'cache') },
  });
  return { code: result.status, out: result.stdout, err: result.stderr };
}

test('`config show` says which line of which file, or which option, each value is from', () => {
  writeFileSync(
    join(home, '.sky', 'config.yaml'),
    'allowed_clouds: [AWS, local]\napi_server:\n  service_account_token: sky_x\n',
  );
  writeFileSync(join(home, '.styx', 'config.yaml'), '# ours\nactive_workspace: mine\n');
  writeFileSync(join(project, '.styx.yaml'), 'provision: {ssh_timeout: 20}\n');
  const { code, out, err } = styx('config', 'show', '--config', 'active_workspace=other');
  expect(code).toBe(0);
  expect(out.split('\n').map((line) => line.split(/ {2,}/))).toEqual([
    ['KEY', 'VALUE', 'FROM', 'NOTE'],
    ['active_workspace', 'other', '--config'],
    ['allowed_clouds', '["AWS","local"]', '~/.sky/config.yaml:1'],
    ['api_server.service_account_token', '<redacted>', '~/.sky/config.yaml:3', 'not carried out yet'],
    ['aws.disk_encrypted', 'false', 'default'],
    ['aws.labels', '-', 'default'],
    ['aws.remote_identity', '-', 'default'],
    ['aws.specific_reservations', '-', 'default'],
    ['aws.ssh_proxy_command', '-', 'default'],
    ['aws.ssh_user', '-', 'default'],
    ['aws.use_internal_ips', 'false', 'default'],
    ['aws.vpc_name', '-', 'default'],
    ['budget', '-', 'default'],
    ['codec', '-', 'default'],
    ['jobs.logs.directory', '-', 'default'],
    ['jobs.logs.endpoint', '-', 'default'],
    ['jobs.logs.keep', '30', 'default'],
    ['jobs.logs.max_mb', '100', 'default'],
    ['jobs.logs.store', '-', 'default'],
    ['jobs.max_hourly_cost', '-', 'default'],
    ['jobs.max_launching', '16', 'default'],
    ['jobs.max_launching_per_user', '-', 'default'],
    ['jobs.max_running', '2000', 'default'],
    ['jobs.max_running_per_user', '-', 'default'],
    ['jobs.status_check.min_elapsed_seconds', '300', 'default'],
    ['notifications', '-', 'default'],
    ['provision.install_conda', 'false', 'default'],
    ['provision.ssh_timeout', '20', '.styx.yaml:1'],
    ['sweep.fix', 'false', 'default'],
    ['sweep.max', '-', 'default'],
    [''],
    ['Files, the last goes first:'],
    ['', '~/.sky/config.yaml'],
    ['', '.sky.yaml (not there)'],
    ['', '~/.styx/config.yaml'],
    ['', '.styx.yaml'],
    [''],
  ]);
  expect(err).toBe(
    'Warning: Configuration not carried out yet: api_server.service_account_token (~/.sky/config.yaml)\n',
  );
  const { settings, files } = JSON.parse(styx('config', 'show', '-o', 'json').out);
  expect(settings[0]).toEqual({
    key: 'active_workspace',
    value: 'mine',
    source: '~/.styx/config.yaml',
    line: 2,
    carriedOut: true,
  });
  expect(files).toContainEqual({ path: join(project, '.sky.yaml'), exists: false });
  expect(JSON.stringify(settings)).not.toContain('sky_x');
});

test('a launch on a cloud that is not allowed is refused by name, and nothing is started or made', () => {
  const named = styx('launch', '-y', '--infra', 'local', '--config', 'allowed_clouds=[aws]', 'true');
  expect(named).toEqual({
    code: 2,
    out: '',
    err:
      'Error: Cloud "local" is not among allowed_clouds (aws)\n' +
      'Ask for another cloud, or change allowed_clouds: `styx config show` says where it is set.\n',
  });
  writeFileSync(join(project, '.sky.yaml'), 'allowed_clouds: [azure, gcp]\n');
  const any = styx('launch', '-y', 'true');
  expect([any.code, any.out, any.err.split('\n')[0]]).toEqual([
    2,
    '',
    'Error: None of the clouds that this version knows (local, aws) is among allowed_clouds (azure, gcp)',
  ]);
  expect(readdirSync(join(home, '.styx'))).toEqual([]);
  expect(styx('launch', '--dryrun', '--config', 'allowed_clouds=[aws, local]', 'true').code).toBe(0);
});

test('`check` looks at allowed clouds alone, and says so of the others', () => {
  const refused = styx('check', '--config', 'allowed_clouds=[aws]');
  expect(refused.code).toBe(6);
  expect(refused.out).toContain('local: disabled\n  cloud "local" is not among allowed_clouds (aws)\n');
  expect(styx('check', '--config', 'allowed_clouds=[LOCAL]').out).toContain('local: enabled');
});

test('what is not carried out is said in one line, once a command, and not where no configuration is used', () => {
  writeFileSync(
    join(home, '.sky', 'config.yaml'),
    'jobs: {bucket: s3://x, controller: {autostop: true}}\nnew_key: 1\n',
  );
  writeFileSync(join(project, '.sky.yaml'), 'kubernetes: {pod_config: {spec: {}}, namespace: x}\n');
  const said =
    'Warning: Configuration not carried out yet: jobs.bucket, jobs.controller (~/.sky/config.yaml); ' +
    'kubernetes.namespace (.sky.yaml); unknown: new_key (~/.sky/config.yaml)\n';
  expect(styx('check').err).toBe(said);
  expect(styx('launch', '--dryrun', 'true').err).toBe(said);
  writeFileSync(join(project, 'task.yaml'), 'run: echo\n');
  expect(styx('validate', 'task.yaml').err).toBe('');
  expect(styx('version').err).toBe('');
  expect(styx('__names').err).toBe('');
});

test('a configuration that is wrong ends each command that uses it, with exit code 2 and every place', () => {
  writeFileSync(join(project, '.styx.yaml'), 'allowed_clouds: [local\n');
  writeFileSync(join(home, '.styx', 'config.yaml'), 'workspcae: x\n');
  for (const args of [['check'], ['status'], ['launch', '--dryrun', 'true'], ['config', 'show']]) {
    const { code, out, err } = styx(...args);
    expect([code, out], args.join(' ')).toEqual([2, '']);
    expect(err).toContain(
      '~/.styx/config.yaml:1:1: workspcae: unknown key; did you mean "workspace"?\n.styx.yaml:2:1: ',
    );
    expect(err).toContain('Correct the configuration');
  }
  writeFileSync(join(project, 'task.yaml'), 'run: echo\n');
  expect(styx('validate', 'task.yaml').code).toBe(0);
});

test('a budget of the configuration is shown with its lines, foreseen by a launch, and below the one of the task', () => {
  writeFileSync(join(home, '.styx', 'config.yaml'), 'budget:\n  max_duration: 2h\n  on_exceed: down\n');
  const rows = styx('config', 'show')
    .out.split('\n')
    .map((line) => line.split(/ {2,}/));
  expect(rows).toContainEqual(['budget.max_duration', '2h', '~/.styx/config.yaml:2']);
  expect(rows).toContainEqual(['budget.on_exceed', 'down', '~/.styx/config.yaml:3']);
  expect(rows.map(([key]) => key)).not.toContain('budget');
  expect(styx('launch', '--dryrun', 'true').out).toContain('lasts 2h; then the cluster is ended.');
  writeFileSync(join(project, 'task.yaml'), 'budget: {max_duration: 3h}\nrun: "true"\n');
  expect(styx('launch', '--dryrun', 'task.yaml').out).toContain('lasts 3h; then the cluster is stopped.');
  expect(styx('config', 'show', '--config', 'budget.max_cost=-1').err).toContain('must be US dollars above 0');
  const none = styx('config', 'show', '--config', '{budget: {on_exceed: stop}}');
  expect([none.code, none.err]).toEqual([2, expect.any(String)]);
});
