/** What can be seen of a running Styx from outside: logs, metrics, and what a command asks of Temporal. */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { parse } from 'yaml';
import { METRICS, type Metric } from '../../model/metrics.ts';
import { CLUSTER_QUEUE } from '../../model/queues.ts';
import { ensureServer, serverStatus, stopServer } from '../../workers/server.ts';
import { until } from '../guarantees/story.ts';
import { sealedTemporalClient } from '../harness/client.ts';
import { askedBy } from '../harness/promql.ts';
import { Scrape } from '../harness/scrape.ts';
import { testDir } from '../harness/temporal.ts';

vi.setConfig({ testTimeout: 120_000, hookTimeout: 240_000 });

const home = testDir();
const env: NodeJS.ProcessEnv = {
  ...process.env,
  STYX_HOME: home,
  STYX_SSH_CONFIG: join(home, 'user-ssh-config'),
  STYX_TIMING: 'test',
  STYX_METRICS: '',
  STYX_LOG_LEVEL: '',
};
let before: Scrape;
let after: Scrape;
/** After more has failed than a launch and a down make fail. */
let later: Scrape;

function styx(...args: string[]): { stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(join(import.meta.dirname, '..', '..', 'bin', 'styx'), args, {
    encoding: 'utf8',
    env,
  });
  expect(status, stderr).toBe(0);
  return { stdout, stderr };
}

/** Lines of `styx server logs -o json`. */
function lines(...args: string[]): Record<string, unknown>[] {
  const { stdout } = styx('server', 'logs', '-o', 'json', '-n', '1000', ...args);
  return stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

async function scrape(): Promise<Scrape> {
  const { metrics } = await serverStatus({ env });
  return await Scrape.of(metrics ?? 'the status names none');
}

const FAILED_TASKS = 'temporal_workflow_task_execution_failed_total';

/** The SDK's counter of them is there only after the first. */
async function failOneTask(): Promise<void> {
  const client = await sealedTemporalClient(home, env);
  const handle = await client.workflow.start('nobody', { taskQueue: CLUSTER_QUEUE, workflowId: 'nobody', args: [] });
  await until('its task fails', async () => (await scrape()).names.includes(FAILED_TASKS));
  await handle.terminate();
  await client.connection.close();
}

const FAILED_CALLS = 'temporal_request_failure_total';

/** That counter too: a heartbeat for a workflow that is gone is refused. */
async function failOneCall(): Promise<void> {
  styx('launch', '-y', '-d', '-c', 'watched', '--infra', 'local', 'sleep 600');
  const client = await sealedTemporalClient(home, env);
  const query = "WorkflowType = 'watch' AND ExecutionStatus = 'Running'";
  await until('its watch is there', async () => (await client.workflow.count(query)).count === 1);
  for await (const { workflowId } of client.workflow.list({ query }))
    await client.workflow.getHandle(workflowId).terminate();
  await until('its heartbeat fails', async () => (await scrape()).names.includes(FAILED_CALLS));
  await client.connection.close();
}

beforeAll(async () => {
  for (const name of Object.keys(env)) if (name.startsWith('TEMPORAL_')) delete env[name];
  await ensureServer({ env });
  before = await scrape();
  styx('launch', '-y', '-c', 'seen', '--infra', 'local', 'echo hi');
  styx('down', '-y', 'seen');
  await failOneTask();
  // Counted by the worker a moment after the command was told.
  after = await until('the down is counted', async () => {
    const scraped = await scrape();
    const all = scraped.sum('styx_operations_total') === 2 && scraped.names.includes(FAILED_TASKS);
    return all ? scraped : null;
  });
  await failOneCall();
  later = await scrape();
});

afterAll(async () => {
  await stopServer({ env });
  rmSync(home, { recursive: true, force: true, maxRetries: 20, retryDelay: 200 });
});

test('a launch and a down are told in the log with their cluster and workflow', () => {
  const said = lines('--part', 'worker').filter(({ cluster }) => cluster === 'default/seen');
  const texts = said.map(({ msg }) => msg);
  for (const text of [
    'cluster is UP',
    'launch succeeded',
    'job 1 is SUCCEEDED',
    'createMachines is done',
    'down succeeded',
  ]) {
    expect(texts).toContain(text);
  }
  expect(texts.filter((text) => text === 'launch succeeded' || text === 'down succeeded').length).toBe(2);
  for (const { workflow, level, part } of said) {
    expect(workflow).toMatch(/^cluster\/default\/seen/);
    expect(level).toBe('info');
    expect(part).toBe('worker');
  }
});

test('people are shown the logs of all parts as lines, each with its part', () => {
  const { stdout } = styx('server', 'logs', '-n', '1000');
  expect(stdout).toMatch(
    /^supervisor: [\d-]{10} [\d:.]{12} INFO {2}started the worker \(keeps=worker, process=\d+\)$/m,
  );
  expect(stdout).toMatch(/^worker: .* INFO {2}launch succeeded \(cluster=default\/seen, workflow=/m);
  expect(stdout).toMatch(/^host: .* INFO {2}serves /m);
  expect(stdout).not.toContain('{"level"');
});

test('--debug tells what is asked of Temporal: method, workflow and time, not what is in it', () => {
  const { stderr } = styx('status', '--debug');
  expect(stderr).toMatch(/^debug: Temporal ListWorkflowExecutions StyxKind = 'cluster'.* \(\d+ ms\)$/m);
  expect(styx('status').stderr).not.toContain('debug:');
});

test('one endpoint has every metric of the table after a launch and a down, and those of the SDK', () => {
  for (const metric of Object.values(METRICS)) expect(after.names, metric.name).toContain(metric.name);
  expect(after.names).toContain('temporal_activity_schedule_to_start_latency_seconds');
  for (const metric of Object.values(METRICS) as Metric[]) expect(after.kind(metric.name)).toBe(metric.kind);
});

test('counters are there before anything happened, and count what happened once', () => {
  const launches = { operation: 'launch', outcome: 'succeeded' };
  expect(before.sum('styx_operations_total', launches)).toBe(0);
  expect(after.sum('styx_operations_total', launches)).toBe(1);
  expect(after.sum('styx_operations_total', { operation: 'down', outcome: 'succeeded' })).toBe(1);
  expect(after.sum('styx_operations_total')).toBe(2);
  expect(after.sum('styx_jobs_total', { status: 'SUCCEEDED' })).toBe(1);
  expect(after.sum('styx_provision_seconds_count', launches)).toBe(1);
  expect(after.sum('styx_provision_seconds_sum')).toBeGreaterThan(0);
  expect(after.sum('styx_steps_total', { step: 'createMachines', outcome: 'done' })).toBeGreaterThan(0);
  expect(after.sum('styx_recoveries_total')).toBe(0);
  expect(after.sum('styx_temporal_up')).toBe(1);
});

test('metrics have no label that grows with use', () => {
  const labels = new Set(
    after.series.filter(({ name }) => name.startsWith('styx_')).flatMap((one) => Object.keys(one.labels)),
  );
  const known = Object.values(METRICS).flatMap((metric: Metric) => Object.keys(metric.labels));
  const ofSdk = ['namespace', 'taskQueue', 'activityType', 'le'];
  expect([...labels].filter((label) => !known.includes(label) && !ofSdk.includes(label))).toEqual([]);
});

const root = join(import.meta.dirname, '..', '..');
const text = (...path: string[]) => readFileSync(join(root, ...path), 'utf8');
interface Rule {
  readonly alert: string;
  readonly expr: string;
  readonly annotations: { readonly summary: string; readonly runbook: string };
}
const { groups } = parse(text('deploy', 'prometheus', 'alerts.yml')) as { groups: { rules: Rule[] }[] };
const rules = groups.flatMap((group) => group.rules);
const dashboard = JSON.parse(text('deploy', 'grafana', 'styx.json')) as {
  panels: { title: string; targets: { expr: string }[] }[];
};
const drawn = dashboard.panels.flatMap(({ title, targets }) => targets.map(({ expr }) => ({ title, expr })));

test.each([...rules.map(({ alert, expr }) => ({ title: alert, expr })), ...drawn])(
  '$title: $expr asks for what there is in a scrape',
  ({ expr }) => {
    // Grafana puts a time there.
    const asked = askedBy(expr.replaceAll('$__rate_interval', '1m'));
    expect(asked.metrics.length).toBeGreaterThan(0);
    const found = asked.metrics.map(({ name, labels }) => {
      // Made by Prometheus of each target.
      if (name === 'up') return { name, known: ['job'], labels };
      const series = later.series.filter((one) => one.name === name);
      expect(series.length, name).toBeGreaterThan(0);
      return { name, known: series.flatMap((one) => Object.keys(one.labels)), labels };
    });
    for (const { name, known, labels } of found) {
      for (const label of labels) expect(known, `labels of ${name}`).toContain(label);
    }
    for (const group of asked.groups) expect(found.flatMap(({ known }) => known)).toContain(group);
  },
);

test('every alert has a runbook, and every runbook an alert', () => {
  expect(rules.length).toBeGreaterThan(10);
  const headings = [...text('docs', 'runbooks.md').matchAll(/^## (\w+)$/gm)].map(([, name]) => name);
  expect(headings.toSorted()).toEqual(rules.map(({ alert }) => alert).toSorted());
  for (const { alert, annotations } of rules) {
    expect(annotations.runbook).toBe(`docs/runbooks.md#${alert.toLowerCase()}`);
    expect(annotations.summary).not.toBe('');
  }
});

test('the endpoint answers to names of this machine alone', async () => {
  const { metrics } = await serverStatus({ env });
  const status = (path: string, host: string) =>
    new Promise<number | undefined>((resolve, reject) => {
      const call = request(new URL(path, metrics ?? ''), { headers: { host } }, (answer) => {
        answer.resume();
        resolve(answer.statusCode);
      });
      call.once('error', reject).end();
    });
  expect(await status('/metrics', 'evil.example')).toBe(403);
  expect(await status('/metrics', 'localhost:1')).toBe(200);
  expect(await status('/', '127.0.0.1')).toBe(404);
});

test('a setting that is none is refused before anything is started', async () => {
  const other = testDir();
  const start = (more: NodeJS.ProcessEnv) => ensureServer({ env: { ...env, STYX_HOME: other, ...more } });
  await expect(start({ STYX_METRICS: '9464' })).rejects.toThrow(/STYX_METRICS is '9464'; it can be off or an address/);
  await expect(start({ STYX_METRICS: '127.0.0.1:99999' })).rejects.toThrow(/STYX_METRICS/);
  await expect(start({ STYX_LOG_LEVEL: 'loud' })).rejects.toThrow(/STYX_LOG_LEVEL is 'loud'/);
  rmSync(other, { recursive: true, force: true });
});

test('the endpoint is where the setting says, or nowhere; debug says more', async () => {
  await stopServer({ env });
  env.STYX_METRICS = 'off';
  env.STYX_LOG_LEVEL = 'debug';
  await ensureServer({ env });
  expect((await serverStatus({ env })).metrics).toBeNull();
  styx('launch', '-y', '-c', 'quiet', '--infra', 'local', 'echo hi');
  styx('down', '-y', 'quiet');
  const said = lines('--part', 'worker').filter(
    ({ level, cluster }) => level === 'debug' && cluster === 'default/quiet',
  );
  expect(said.map(({ msg }) => msg)).toContain('Activity completed');
  await stopServer({ env });
  const { freePort } = await import('../../workers/temporal-server.ts');
  const port = await freePort();
  env.STYX_METRICS = `127.0.0.1:${port}`;
  await ensureServer({ env });
  expect((await serverStatus({ env })).metrics).toBe(`http://127.0.0.1:${port}/metrics`);
  expect((await scrape()).sum('styx_temporal_up')).toBe(1);
});
