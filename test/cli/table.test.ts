import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { colourStatus, usesColour } from '../../cli/colour.ts';
import { costReportText } from '../../cli/commands/cost-report.ts';
import { budgetLines, statusTable } from '../../cli/commands/status.ts';
import { formatAge, formatAutostop, formatMoney, formatSpan, isoTime } from '../../cli/format.ts';
import { planText } from '../../cli/plan.ts';
import { displayWidth, formatTable, plain } from '../../cli/table.ts';
import type { ClusterCost } from '../../client/costs.ts';
import type { Budget, BudgetView } from '../../model/cost-budget.ts';
import type { InstanceTypeOffer } from '../../model/machines.ts';

describe('a table', () => {
  test('has one line per row and columns that begin at the same place', () => {
    const cell = fc.stringMatching(/^[a-z]{1,12}$/);
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell, cell), { minLength: 1, maxLength: 8 }), (rows) => {
        const lines = formatTable(['A', 'B', 'C'], rows).split('\n');
        expect(lines).toHaveLength(rows.length + 1);
        const starts = lines.map((line) => [...line.matchAll(/\S+/g)].map(({ index }) => index));
        for (const start of starts) expect(start).toEqual(starts[0]);
      }),
    );
  });

  test('cannot be broken by what a cell holds', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 20 }), (text) => {
        const table = formatTable(['NAME', 'X'], [[text, 'y']]);
        expect([...table].filter((char) => /[\p{Cc}\u2028\u2029]/u.test(char))).toEqual(['\n']);
      }),
    );
    expect(plain('a\x1b[31mb\nc\u202e')).toBe('a?[31mb?c?');
  });

  test('leaves two places for wide characters', () => {
    expect(displayWidth('日本')).toBe(4);
    expect(
      formatTable(
        ['N', 'X'],
        [
          ['日本', 'a'],
          ['b', 'c'],
        ],
      ).split('\n'),
    ).toEqual(['N     X', '日本  a', 'b     c']);
  });
});

test('status has the columns that SkyPilot’s users know', () => {
  const now = Date.UTC(2026, 0, 2);
  const cluster = {
    workspace: 'default',
    name: 'mine',
    status: 'UP',
    user: 'me',
    launchedAt: now - 3 * 60_000,
    resources: '1x(cpus=1, mem=12, local-1x)',
    infra: 'local/local/local-a',
    numNodes: 1,
    autostop: { idleMinutes: 10, down: true, waitFor: 'jobs_and_ssh' },
    headIp: '127.0.0.2',
    lastUse: 'styx launch hello.yaml',
    jobs: { live: 1, finished: 0 },
    costPerHour: 0,
    costSoFar: 0,
    statusReason: '',
    statusSince: now - 60_000,
    progress: null,
  } as const;
  expect(
    statusTable([cluster], false, now)
      .split('\n')
      .map((line) => line.split(/ {2,}/)),
  ).toEqual([
    ['NAME', 'INFRA', 'RESOURCES', 'STATUS', 'AUTOSTOP', 'LAUNCHED'],
    ['mine', 'local (local-a)', '1x(cpus=1, mem=12, local-1x)', 'UP', '10m (down)', '3 mins ago'],
  ]);
  expect(statusTable([cluster], true, now).split('\n')[0]?.split(/ {2,}/).slice(6)).toEqual([
    '$/HR',
    'HEAD_IP',
    'COMMAND',
    'LAST_EVENT',
  ]);
});

test('status tells of budgets that are spent, and with -v of all', () => {
  const now = Date.UTC(2026, 0, 2);
  const told: BudgetView = {
    ...{ maxCost: 10, maxDuration: null, onExceed: 'notify', exceedsAt: now - 180_000 },
    exceeded: { at: now - 180_000, why: 'its budget of $10.00 is spent' },
  };
  const open: BudgetView = {
    ...told,
    maxDuration: 86_400,
    onExceed: 'stop',
    exceedsAt: now + 8_760_000,
    exceeded: null,
  };
  const rest: BudgetView = { ...open, maxCost: null, exceedsAt: null };
  const clusters = [
    { name: 'a', budget: told },
    { name: 'b', budget: open },
    { name: 'c', budget: rest },
    { name: 'd' },
  ];
  const first = 'Cluster a: its budget of $10.00 is spent, 3 mins ago';
  expect(budgetLines(clusters, false, now)).toEqual([first]);
  expect(budgetLines(clusters, true, now)).toEqual([
    first,
    'Cluster b has a budget of $10.00 or 1d of running (stop), lasts 2h 26m more',
    'Cluster c has a budget of 1d of running (stop)',
  ]);
});

test('the plan of a launch says how long its budget lasts, at the price of what is chosen for all nodes', () => {
  const offer: InstanceTypeOffer = {
    ...{ cloud: 'local', region: 'local', zone: 'local-a', instanceType: 'local-1x', cpus: 1, memory: 4 },
    ...{ accelerators: null, useSpot: false, hourlyCost: 2.05 },
  };
  const budget: Budget = { maxCost: 10, maxDuration: null, onExceed: 'stop' };
  const preview = (...offers: InstanceTypeOffer[]) => ({ offers, catalogs: [], ranking: null });
  expect(
    planText(preview(offer, { ...offer, hourlyCost: 9 }), { numNodes: 2, budget })
      .split('\n')
      .slice(-2),
  ).toEqual([
    'Estimated cost: $4.10 / hour',
    'At $4.10/h this budget of $10.00 lasts 2h 26m; then the cluster is stopped.',
  ]);
  expect(planText(preview(offer), { numNodes: 2 }).split('\n').at(-1)).toBe('Estimated cost: $4.10 / hour');
  const disk = { size: 256, hourlyCost: 0.05 };
  expect(
    planText(preview({ ...offer, disk }), { numNodes: 2, budget })
      .split('\n')
      .slice(-2),
  ).toEqual([
    'Estimated cost: $4.20 / hour, of which $0.10 for disks, while stopped too',
    'At $4.20/h this budget of $10.00 lasts 2h 22m; then the cluster is stopped.',
  ]);
});

test('a cost report shows five clusters and the cost of all, and with -a all', () => {
  const now = Date.UTC(2026, 0, 2);
  const one: ClusterCost = {
    workspace: 'default',
    name: 'one',
    user: 'me',
    status: 'TERMINATED',
    launchedAt: now - 3 * 86_400_000,
    endedAt: now,
    upMs: 7_500_000,
    resources: '1x(local-1x)',
    infra: null,
    numNodes: 1,
    hourlyPrice: 4.1,
    costPerHour: 0,
    cost: 8.5,
  };
  const clusters = Array.from({ length: 7 }, (_, index) => ({ ...one, name: `c${index}` }));
  const none = { ...one, name: 'none', upMs: null, cost: 0 };
  const total = { clusters: 8, cost: 59.5, costPerHour: 0 };
  const report = { clusters: [...clusters, none], total, users: {}, workspaces: {} };
  const lines = costReportText(report, { days: 1 }, now).split('\n');
  expect(lines[0]).toBe('Clusters (last 1 day)');
  expect(lines[1]?.split(/ {2,}/)).toEqual([
    ...['NAME', 'LAUNCHED', 'DURATION', 'RESOURCES', 'STATUS', 'COST/hr', 'COST (est.)'],
  ]);
  expect(lines[2]?.split(/ {2,}/)).toEqual([
    ...['c0', '3 days ago', '2h 5m', '1x(local-1x)', 'TERMINATED', '$ 4.10', '$ 8.50'],
  ]);
  expect(lines.slice(7)).toEqual(['', 'Total Cost: $ 59.50', '5 of 8 clusters are shown; -a shows all.']);
  const all = costReportText(report, { days: 0, all: true }, now).split('\n');
  expect(all[0]).toBe('Clusters');
  expect(all[9]?.split(/ {2,}/)).toEqual(['none', '3 days ago', '-', '1x(local-1x)', 'TERMINATED', '$ 4.10', '-']);
  expect(all).toHaveLength(12);
});

test.each([
  [null, '-'],
  [{ idleMinutes: 10, down: false, waitFor: 'jobs' } as const, '10m'],
  [{ idleMinutes: 120, down: false, waitFor: 'jobs' } as const, '2h'],
  [{ idleMinutes: 90, down: true, waitFor: 'none' } as const, '90m (down)'],
])('autostop %j reads %s', (rule, text) => {
  expect(formatAutostop(rule)).toBe(text);
});

test.each([
  [0, 'just now'],
  [1_000, '1 sec ago'],
  [59_999, '59 secs ago'],
  [60_000, '1 min ago'],
  [3 * 3_600_000, '3 hrs ago'],
  [8 * 86_400_000, '1 week ago'],
  [-5_000, 'just now'],
])('%i ms back reads %s', (ago, text) => {
  expect(formatAge(1e12 - ago, 1e12)).toBe(text);
});

test('what has no time shows as a dash, and as null to programs', () => {
  expect([formatAge(null), formatSpan(null, null), isoTime(null), isoTime(0)]).toEqual(['-', '-', null, null]);
  expect(formatSpan(1_000, 66_000)).toBe('1m 5s');
  expect(formatMoney(0.0042)).toBe('$ 0.0042');
});

test('colours appear on a terminal alone, and never with NO_COLOR', () => {
  expect(usesColour({ isTTY: true }, {})).toBe(true);
  expect(usesColour({ isTTY: true }, { NO_COLOR: '1' })).toBe(false);
  expect(usesColour({ isTTY: true }, { TERM: 'dumb' })).toBe(false);
  expect(usesColour({}, {})).toBe(false);
  expect(colourStatus('UP    local  UP      -\nmine  local  STOPPED', true)).toBe(
    'UP    local  \x1b[32mUP\x1b[0m      -\nmine  local  \x1b[33mSTOPPED\x1b[0m',
  );
});
