import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { isDesktop } from '../../cli/browser.ts';
import { rayText } from '../../cli/commands/ray.ts';
import type { ClusterRay } from '../../model/ray.ts';

const RAY: ClusterRay = {
  spec: { version: '2.60.0', extras: ['data'], headResources: null, restartHead: null },
  wanted: true,
  status: 'UP',
  since: 1_000,
  reason: '',
  child: 1,
  address: '10.0.0.1:20000',
  dashboardPort: 20001,
};

it('the status of Ray is a table, with the reason below it', () => {
  const text = rayText({ name: 'c', nodes: [] }, { ...RAY, reason: 'started again: node 1: it vanished' }, 61_000);
  const [header, row, reason] = text.split('\n').map((line) => line.trim().split(/\s{2,}/));
  expect(header).toEqual(['CLUSTER', 'RAY', 'NODES', 'STATUS', 'SINCE', 'ADDRESS']);
  expect(row).toEqual(['c', '2.60.0 + data', '0', 'UP', '1m', '10.0.0.1:20000']);
  expect(reason).toEqual(['started again: node 1: it vanished']);
});

it('a browser is opened on a desktop only', () => {
  expect(isDesktop({ DISPLAY: ':0' }, 'linux')).toBe(true);
  expect(isDesktop({ WAYLAND_DISPLAY: 'w' }, 'linux')).toBe(true);
  expect(isDesktop({}, 'darwin')).toBe(true);
  expect(isDesktop({}, 'linux')).toBe(false);
  expect(isDesktop({ DISPLAY: ':10', SSH_CONNECTION: '10.0.0.1 1 10.0.0.2 22' }, 'linux')).toBe(false);
  expect(isDesktop({ SSH_CONNECTION: '10.0.0.1 1 10.0.0.2 22' }, 'darwin')).toBe(false);
});

it.each([
  [['--ray-version', 'newest'], '--ray-version must be a release such as "2.60.0", not "newest"'],
  [['--ray-version', '1.13.0'], '--ray-version must be 2.55.0 or later, not 1.13.0'],
  [['--extras', 'data,serv'], 'not "serv"; did you mean "serve"?'],
  [['--head-resources', 'CPU'], '--head-resources must be such as CPU=0,GPU=1, not "CPU"'],
  [['--head-resources', 'cpu=0'], '--head-resources cpu is written CPU'],
])('styx ray up c %j is refused before anything is started', { timeout: 60_000 }, (options, wanted) => {
  const styx = join(import.meta.dirname, '..', '..', 'bin', 'styx');
  const env = { ...process.env, STYX_HOME: '/nonexistent/styx' };
  const { status, stderr } = spawnSync(styx, ['ray', 'up', 'c', ...options], { env, encoding: 'utf8' });
  expect(stderr).toContain(wanted);
  expect(status).toBe(2);
});
