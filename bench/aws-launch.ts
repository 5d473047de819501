/**
 * A launch on the stand-in of EC2, whose answers take 50 ms and whose machines boot in a second, against the time in which nobody could
 * have done anything: the boot, and the moments in which a call was under way. And what clusters that only stand ask of EC2.
 * Runs in namespaces of its own, where the addresses of the machines are real; needs what test/aws needs.
 */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Account } from '../test/stand-ins/aws/account.ts';
import type { Asked } from '../test/stand-ins/aws/fault-proxy.ts';
import { runInside } from '../test/stand-ins/machines/inside.ts';
import { Machines } from '../test/stand-ins/machines/machines.ts';
import { whyNoAws } from '../test/stand-ins/machines/needs.ts';
import { Lab } from './lab.ts';
import { add, type Report } from './report.ts';

const INSIDE = 'STYX_BENCH_INSIDE';
const LATENCY_MS = 50;
const BOOT_SECONDS = 1;
const IDLE_MS = 60_000;
const SETTLE_MS = 20_000;
/** Seconds above the unavoidable, by nodes. */
const TARGETS = { 1: 3, 16: 5 } as const;
const MOST_ROUNDS = 5;

export async function awsLaunch(report: Report, rounds: number, say: (text: string) => void): Promise<void> {
  const why = whyNoAws();
  if (why !== undefined) {
    report.skips.push({ subject: 'launches on AWS', why });
    return;
  }
  const directory = mkdtempSync(join(tmpdir(), 'styx-bench-aws-'));
  const file = join(directory, 'report.json');
  const code = await runInside([import.meta.filename, file, String(rounds)], { [INSIDE]: '1' }, say);
  if (code !== 0 || !existsSync(file)) throw new Error(`launches on AWS ended with ${code}`);
  const { figures } = JSON.parse(readFileSync(file, 'utf8')) as Report;
  report.figures.push(...figures);
  rmSync(directory, { recursive: true });
}

async function measure(rounds: number): Promise<Report> {
  const report: Report = { figures: [], skips: [] };
  const account = await Account.start();
  account.enter();
  const machines = await Machines.start(account.direct);
  await machines.manner({ bootSeconds: BOOT_SECONDS });
  account.proxy.faults = [{ do: { delay: LATENCY_MS } }];
  const lab = await Lab.start();
  try {
    for (const nodes of [1, 16] as const) await launches(lab, account, report, nodes, Math.min(rounds, MOST_ROUNDS));
    for (const clusters of [1, 5]) await idle(lab, account, report, clusters);
  } finally {
    await lab.end();
    await machines.end();
    await account.end();
  }
  return report;
}

async function up(lab: Lab, name: string, nodes: number) {
  const where = ['--infra', 'aws/us-east-1', '--instance-type', 'm5.large', '--num-nodes', String(nodes)];
  return await lab.cli('launch', '-y', '-c', name, ...where, 'echo first');
}

async function launches(lab: Lab, account: Account, report: Report, nodes: 1 | 16, rounds: number): Promise<void> {
  const seconds: number[] = [];
  const over: number[] = [];
  const calls: number[] = [];
  for (let round = 0; round <= rounds; round++) {
    console.error(`bench: launch of ${nodes} on AWS, ${round} of ${rounds}`);
    const name = lab.name('aws');
    account.proxy.log.length = 0;
    const { firstMs } = await up(lab, name, nodes);
    const asked = [...account.proxy.log];
    await lab.down(name);
    // The first one warms up what a server that has just started has not done yet.
    if (round === 0 || firstMs === null) continue;
    seconds.push(firstMs / 1_000);
    over.push((firstMs - BOOT_SECONDS * 1_000 - underWay(asked)) / 1_000);
    calls.push(asked.length);
  }
  const what = `launch of ${nodes} on AWS`;
  add(report, { subject: `${what} to first line`, unit: 's', values: seconds, note: 'boot 1 s, 50 ms a call' });
  add(report, { subject: `${what}, above boot and calls`, unit: 's', values: over, target: TARGETS[nodes] });
  add(report, { subject: `${what}, calls of EC2`, unit: '', values: calls });
}

/** Milliseconds in which at least one call was under way. */
function underWay(asked: readonly Asked[]): number {
  let total = 0;
  let until = 0;
  for (const at of asked.map((one) => one.at).toSorted((a, b) => a - b)) {
    total += Math.max(0, at + LATENCY_MS - Math.max(at, until));
    until = at + LATENCY_MS;
  }
  return total;
}

async function idle(lab: Lab, account: Account, report: Report, clusters: number): Promise<void> {
  const names = Array.from({ length: clusters }, () => lab.name('idle'));
  await Promise.all(names.map((name) => up(lab, name, 1)));
  await sleep(SETTLE_MS);
  console.error(`bench: ${clusters} idle on AWS`);
  account.proxy.log.length = 0;
  await sleep(IDLE_MS);
  const values = [account.proxy.log.length * (3_600_000 / IDLE_MS)];
  const note = '240: one every 15 s';
  add(report, { subject: `calls of EC2 an hour, ${clusters} idle`, unit: '/h', values, target: 240, note });
  await Promise.all(names.map((name) => lab.down(name)));
}

const [, , file, rounds] = process.argv;
if (process.env[INSIDE] === '1' && file !== undefined) {
  writeFileSync(file, JSON.stringify(await measure(Number(rounds))));
  process.exit(0);
}
