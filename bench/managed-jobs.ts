/**
 * Many managed jobs that run at the same instant, and many more that wait. A job that runs waits for the others to (it opens a pipe that
 * nobody writes to), so that the last one finds all others there, however long the submission takes.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowClient } from '@temporalio/client';
import { connect, type JobRequest, type Styx } from '../client/index.ts';
import type { JobSummary } from '../client/job-lists.ts';
import { LocalCloud } from '../clouds/local/local.ts';
import { mapLimited } from '../model/map-limited.ts';
import { parseJob } from '../model/parse-task.ts';
import { resourcesText } from '../model/resources-text.ts';
import { sealedTemporalClient } from '../test/harness/client.ts';
import type { Lab } from './lab.ts';
import { cpuOf, instanceProcesses, memoryOf, sharedAgents } from './processes.ts';
import { add, percentile, type Report } from './report.ts';

const CALLERS = 32;
const LOOK_MS = 2_000;
const SETTLE_MS = 30_000;
const ASLEEP_MS = 60_000;
/** From one job to the next to run, or to end, before something is wrong. */
const STALLED_MS = 5 * 60_000;
const LISTINGS = 3;
const LISTED_MS = 15 * 60_000;

/** `running` jobs at the same instant, all of which succeed. */
export async function managedJobs(lab: Lab, report: Report, running: number, say: (text: string) => void) {
  const gate = join(lab.home, 'gate');
  execFileSync('mkfifo', [gate]);
  await submit(lab.styx, report, running, `cat ${gate}`, 'managed jobs submitted');
  const began = Date.now();
  const jobs = await reached(lab.styx, 'RUNNING', running, say);
  const waited = jobs.map(({ submittedAt, startedAt }) => ((startedAt ?? Number.NaN) - submittedAt) / 1_000);
  const note = `from its submission; 16 launch at a time; p99 ${percentile(waited, 0.99).toFixed(1)} s`;
  add(report, { subject: `one of ${running} managed jobs runs`, unit: 's', values: waited, note });
  const took = (Date.now() - began) / 1_000;
  add(report, { subject: `${running} managed jobs run, all submitted`, unit: 's', values: [took] });
  await asleep(lab, report, running, say);
  await listing(lab, report, `styx jobs queue, ${running} RUNNING`);

  const opened = Date.now();
  // Whoever waits at the pipe finds a writer, and then none. One that came late is let go at the next look.
  const ended = await reached(lab.styx, 'SUCCEEDED', running, say, () => closeSync(openSync(gate, constants.O_RDWR)));
  add(report, {
    subject: 'managed jobs that succeeded',
    unit: '',
    values: [ended.length],
    target: running,
    least: true,
  });
  add(report, { subject: 'all have ended', unit: 's', values: [(Date.now() - opened) / 1_000] });
}

/** `pending` jobs behind one that holds the only slot. */
export async function pendingJobs(lab: Lab, report: Report, pending: number, say: (text: string) => void) {
  const styx = await connect({
    home: lab.home,
    startServer: false,
    config: { maxRunningJobs: 1 },
    workspace: 'waiting',
  });
  try {
    await submit(styx, report, pending, 'sleep 86400', 'managed jobs submitted that wait');
    const listed = await reached(styx, 'PENDING', pending - 1, say);
    say(`${listed.length} jobs are PENDING`);
    const more = ['--config', 'active_workspace=waiting'];
    await listing(lab, report, `styx jobs queue, ${pending} PENDING`, more, 2);
    const { worker, temporal } = await lab.pids();
    for (const [what, pid] of Object.entries({ worker, 'Temporal server': temporal }))
      add(report, { subject: `memory of the ${what}, ${pending} PENDING`, unit: 'MiB', values: [memoryOf([pid]).rss] });
  } finally {
    await styx.close();
  }
}

/** From the exit of a job's only process to the order to end its machines: `jobs` of them, one after the other. */
export async function tearDown(lab: Lab, report: Report, jobs: number): Promise<void> {
  const exits = join(lab.home, 'exits');
  const { connection, workflow } = await sealedTemporalClient(lab.home);
  const values: number[] = [];
  try {
    for (let job = 0; job < jobs; job++) {
      const { id } = await lab.styx.jobs.launch(requestOf(`sleep 3; date +%s%3N > ${exits}`));
      const { past } = await lab.styx.jobs.wait(id, { gone: true });
      const exitedAt = Number(readFileSync(exits, 'utf8'));
      values.push(((await endOrdered(workflow, `cluster/default/${past[0]?.cluster}`)) - exitedAt) / 1_000);
    }
  } finally {
    await connection.close();
  }
  add(report, { subject: 'exit of a managed job to the end of its machines', unit: 's', values, target: 1 });
}

/** When a cluster's machines were ordered to end, ms. */
async function endOrdered(client: WorkflowClient, clusterId: string): Promise<number> {
  for await (const { workflowId, runId } of client.list({ query: `WorkflowId STARTS_WITH '${clusterId}'` })) {
    const { events } = await client.getHandle(workflowId, runId).fetchHistory();
    for (const { eventTime, activityTaskScheduledEventAttributes: activity } of events ?? [])
      if (activity?.activityType?.name === 'terminateMachines')
        return Number(eventTime?.seconds) * 1_000 + Number(eventTime?.nanos) / 1e6;
  }
  throw new Error(`nothing ended the machines of ${clusterId}`);
}

async function submit(styx: Styx, report: Report, count: number, run: string, subject: string): Promise<void> {
  const request = requestOf(run);
  const began = performance.now();
  await mapLimited(Array.from({ length: count }), CALLERS, async () => void (await styx.jobs.launch(request)));
  const rate = count / ((performance.now() - began) / 1_000);
  add(report, { subject, unit: '/s', values: [rate], note: `${CALLERS} callers` });
}

function requestOf(run: string): JobRequest {
  const { task, recovery } = parseJob(JSON.stringify({ resources: { infra: 'local' }, run }), { file: 'bench' });
  return { task, recovery, resourcesText: resourcesText(task) };
}

/** Those of a status, when there are as many. @throws Error when nothing changes any more, or a job failed */
async function reached(
  styx: Styx,
  status: JobSummary['status'],
  count: number,
  say: (text: string) => void,
  each: () => void = () => undefined,
): Promise<JobSummary[]> {
  let most = -1;
  for (let changed = Date.now(); ; await sleep(LOOK_MS)) {
    each();
    const jobs = await styx.jobs.list();
    const failed = jobs.find((job) => job.status.startsWith('FAILED'));
    if (failed !== undefined) throw new Error(`job ${failed.number} is ${failed.status}: ${failed.reason}`);
    // One without a number was not heard by the queue yet.
    const found = jobs.filter((job) => job.status === status && job.number !== null);
    if (found.length >= count) return found;
    if (found.length > most) {
      if (Math.floor(found.length / 50) > Math.floor(most / 50)) say(`${found.length} of ${count} jobs are ${status}`);
      most = found.length;
      changed = Date.now();
    }
    if (Date.now() - changed > (status === 'PENDING' ? LISTED_MS : STALLED_MS))
      throw new Error(`${found.length} of ${count} jobs are ${status}`);
  }
}

/** What it costs that they are there. */
async function asleep(lab: Lab, report: Report, running: number, say: (text: string) => void): Promise<void> {
  say(`all ${running} run; measuring`);
  await sleep(SETTLE_MS);
  const { worker, temporal } = await lab.pids();
  const host = await new LocalCloud(lab.home).host();
  const processes = instanceProcesses(lab.home);
  const agents = sharedAgents(lab.home);
  const all = [worker, temporal, host.pid, ...agents, ...processes.map(({ pid }) => pid)];
  const before = cpuOf(all);
  await sleep(ASLEEP_MS);
  const cores = (cpuOf(all) - before) / (ASLEEP_MS / 1_000);
  add(report, { subject: `CPU while ${running} managed jobs sleep`, unit: 'cores', values: [cores] });
  const of = (subject: string, values: number[], note: string, target?: number) =>
    add(report, { subject, unit: 'MiB', values, note, ...(target === undefined ? {} : { target }) });
  of(`memory of the worker, ${running} managed jobs`, [memoryOf([worker]).rss], 'RSS');
  of(`memory of the Temporal server, ${running} managed jobs`, [memoryOf([temporal]).rss], 'RSS');
  of(`memory of the local cloud's host, ${running} managed jobs`, [host.rss / 1024 ** 2], 'RSS');
  const isJob = ({ command }: { command: string }) => /^cat |^\/bin\/bash |^bash /.test(command);
  const own = processes.filter(isJob).map(({ pid }) => pid);
  const beside = [...agents, ...processes.filter((process) => !isJob(process)).map(({ pid }) => pid)];
  of('memory of the agent of all instances', [memoryOf(agents).pss ?? Number.NaN], 'PSS');
  of('memory of a job’s own processes', [(memoryOf(own).pss ?? Number.NaN) / running], 'PSS');
  of('memory of an idle job beside them', [(memoryOf(beside).pss ?? Number.NaN) / running], 'PSS', 1);
}

async function listing(lab: Lab, report: Report, subject: string, more: string[] = [], target?: number): Promise<void> {
  const values: number[] = [];
  for (let round = 0; round < LISTINGS; round++) values.push((await lab.cli('jobs', 'queue', ...more)).wallMs / 1_000);
  add(report, { subject, unit: 's', values, ...(target === undefined ? {} : { target }) });
}
