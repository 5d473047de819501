/**
 * The lives whose histories are kept: each is run for real, and what its workflows wrote is replayed by every later version of the
 * code. A change that breaks one needs a patch marker in the workflow, not a new recording.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ClusterView } from '../../model/commands.ts';
import { parseSubmission } from '../../model/parse-pipeline.ts';
import { parseJob, parsePool, parsePooledJob } from '../../model/parse-task.ts';
import type { PoolView } from '../../model/pool.ts';
import { scheduleRules } from '../../model/schedule-rules.ts';
import { rayProcesses } from '../harness/ray.ts';
import type { World } from '../harness/world.ts';

export interface Shape {
  readonly name: string;
  /** Whose histories are kept; default: the cluster's and those of its children. */
  readonly workflows?: RegExp;
  run(world: World, cluster: string): Promise<void>;
}

async function launch(world: World, cluster: string, yaml: string, wait = true): Promise<number> {
  const { clusters } = world.styx;
  const answer = await clusters.launch({ name: cluster, ...world.task(yaml) });
  if (wait) await clusters.waitOperation(cluster, answer);
  return answer.jobId ?? 0;
}

async function down(world: World, cluster: string): Promise<void> {
  const { clusters } = world.styx;
  await clusters.waitOperation(cluster, await clusters.down(cluster));
}

export const SHAPES: readonly Shape[] = [
  {
    name: 'pool',
    workflows: /^(?:job|pool)\/|^cluster\/default\/pool-/,
    async run(world, name) {
      const { jobs, pools, clusters } = world.styx;
      const apply = async (yaml: string) => {
        const { task, pool } = parsePool(yaml, { file: 'pool.yaml' });
        await pools.apply({ name, size: pool, workers: { task, resourcesText: 'r' } });
      };
      const until = async (fits: (view: PoolView) => boolean) => {
        while (!fits(await pools.view(name, { budget: 60_000 }))) {
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      };
      const submit = async (yaml: string) => {
        const { task, recovery } = parsePooledJob(yaml, { file: 'test.yaml' });
        return (await jobs.launch({ task, recovery, pool: name, resourcesText: 'r' })).id;
      };
      const ready = ({ workerViews }: PoolView) =>
        workerViews.length > 0 && workerViews.every(({ status }) => status === 'READY');
      await apply('setup: "true"\npool: {workers: 2}\n');
      await until(ready);
      await jobs.wait(await submit('run: "true"\n'), { gone: true });
      const cancelled = await submit('run: sleep 100\n');
      const lost = await submit('run: "[ $STYX_JOB_TRY = 2 ] || sleep 100"\n');
      for (const id of [cancelled, lost]) {
        await jobs.until(id, ({ status }) => (status === 'RUNNING' ? true : undefined));
      }
      await jobs.cancel(cancelled);
      const { copy } = await jobs.view(lost);
      const { nodes } = await clusters.view(copy?.cluster ?? '', { budget: 60_000 });
      await world.cloud.preempt(nodes[0]?.instanceId ?? '');
      await jobs.wait(lost, { gone: true });
      await until((view) => view.ready === 2);
      await apply('setup: echo changed\npool: {workers: 1}\n');
      await until((view) => ready(view) && view.workerViews.every(({ version }) => version === 2));
      await pools.down(name);
      while ((await pools.list()).length > 0) await new Promise((resolve) => setTimeout(resolve, 100));
    },
  },
  {
    name: 'managed-job',
    workflows: /^(?:job|queue)\/|^cluster\/default\/job-/,
    async run(world, name) {
      const { jobs, clusters } = world.styx;
      const submit = async (yaml: string) => {
        const { task, recovery } = parseJob(yaml, { file: 'test.yaml' });
        return (await jobs.launch({ task, recovery, resourcesText: 'r' })).id;
      };
      const errors = 'resources: {job_recovery: {max_restarts_on_errors: 1}}';
      const failing = await submit(`name: ${name}\n${errors}\nrun: exit $STYX_JOB_TRY\n`);
      await jobs.wait(failing, { gone: true });
      const lost = await submit('setup: "true"\nrun: "[ $STYX_JOB_TRY = 2 ] || sleep 100"\n');
      const { copy } = await jobs.until(lost, (view) => (view.status === 'RUNNING' ? view : undefined));
      const { nodes } = await clusters.view(copy?.cluster ?? '', { budget: 60_000 });
      await world.cloud.preempt(nodes[0]?.instanceId ?? '');
      await jobs.wait(lost, { gone: true });
      const cancelled = await submit('run: sleep 100\n');
      await jobs.until(cancelled, ({ status }) => (status === 'RUNNING' ? true : undefined));
      await jobs.cancel(cancelled);
      await jobs.wait(cancelled, { gone: true });
    },
  },
  {
    name: 'replaced-nodes',
    workflows: /^(?:job|queue)\/|^cluster\/default\/job-/,
    async run(world) {
      const { jobs, clusters } = world.styx;
      const yaml =
        'num_nodes: 2\nresources: {job_recovery: {replace_nodes: true}}\nsetup: "true"\nrun: "[ $STYX_JOB_TRY = 2 ] || sleep 100"\n';
      const { task, recovery } = parseJob(yaml, { file: 'test.yaml' });
      const { id } = await jobs.launch({ task, recovery, resourcesText: 'r' });
      const { copy } = await jobs.until(id, (view) => (view.status === 'RUNNING' ? view : undefined));
      const { nodes } = await clusters.view(copy?.cluster ?? '', { budget: 60_000 });
      await world.cloud.preempt(nodes[1]?.instanceId ?? '');
      await jobs.wait(id, { gone: true });
    },
  },
  {
    name: 'asked-ahead',
    workflows: /^(?:job|queue)\/|^cluster\/default\/job-/,
    async run(world) {
      const { jobs, clusters } = world.styx;
      const ready = `${world.home}/ready`;
      const handler = `trap 'while [ ! -e ${ready} ]; do sleep 0.1; done; exit 0' TERM`;
      const yaml = `run: |\n  ${handler}\n  while [ $STYX_JOB_TRY = 1 ]; do sleep 0.1; done\n`;
      const { task, recovery } = parseJob(yaml, { file: 'test.yaml' });
      const { id } = await jobs.launch({ task, recovery, resourcesText: 'r' });
      const { copy } = await jobs.until(id, (view) => (view.status === 'RUNNING' ? view : undefined));
      const { nodes } = await clusters.view(copy?.cluster ?? '', { budget: 60_000 });
      await world.cloud.preempt(nodes[0]?.instanceId ?? '', 120_000);
      await jobs.until(id, ({ spare }) => (spare?.report?.launch?.outcome === 'succeeded' ? true : undefined));
      writeFileSync(ready, '');
      await jobs.wait(id, { gone: true });
    },
  },
  {
    name: 'reported-progress',
    workflows: /^(?:job|queue)\/|^cluster\/default\/job-/,
    async run(world) {
      const { jobs } = world.styx;
      const yaml =
        'resources: {use_spot: true, job_recovery: {strategy: deadline, deadline: 14s, work: 8s, overhead: 2s}}\nrun: |\n  echo 1% > $STYX_PROGRESS\n  [ $STYX_JOB_TRY = 2 ] || sleep 100\n  echo 100% > $STYX_PROGRESS\n';
      const { task, recovery } = parseJob(yaml, { file: 'test.yaml' });
      const { id } = await jobs.launch({ task, recovery, resourcesText: 'r' });
      await jobs.wait(id, { gone: true });
    },
  },
  {
    name: 'pipeline',
    workflows: /^(?:job|queue)\/|^cluster\/default\/job-/,
    async run(world, name) {
      const { jobs, pipelines } = world.styx;
      const submit = async (...tasks: string[]) => {
        const written = parseSubmission(tasks.join('\n---\n'), { file: 'test.yaml' });
        if (written.kind !== 'pipeline') throw new Error('not a pipeline');
        return (await pipelines.launch(written)).id;
      };
      const failing = await submit(
        `name: ${name}`,
        'name: a\nrun: echo k=v >> $STYX_OUTPUT',
        'name: b\ndepends_on: [a]\nrun: exit 3',
        'name: c\ndepends_on: [b]\nrun: "true"',
      );
      await pipelines.wait(failing, { gone: true });
      const cancelled = await submit('name: a\nrun: sleep 100', 'name: b\nrun: "true"');
      await pipelines.until(cancelled, ({ tasks }) => (tasks[0]?.status === 'RUNNING' ? true : undefined));
      await jobs.cancel(cancelled);
      await pipelines.wait(cancelled, { gone: true });
      const { id: again } = await pipelines.retry(failing);
      await pipelines.wait(again, { gone: true });
    },
  },
  {
    name: 'paused-pipeline',
    workflows: /^(?:job|queue|pool)\/|^cluster\/default\/(?:job|pool)-/,
    async run(world, name) {
      const { jobs, pipelines, pools } = world.styx;
      const written = parseSubmission(
        `name: ${name}\n---\nrun: "[ $STYX_JOB_TRY = 2 ] || sleep 100"\n---\nrun: "true"`,
        {
          file: 'test.yaml',
        },
      );
      if (written.kind !== 'pipeline') throw new Error('not a pipeline');
      const { id } = await pipelines.launch(written);
      await pipelines.until(id, ({ tasks }) => (tasks[0]?.status === 'RUNNING' ? true : undefined));
      await jobs.pause(id);
      await jobs.until(`${id}/0`, ({ copy }) => (copy === null ? true : undefined));
      await jobs.resume(id);
      await pipelines.wait(id, { gone: true });
      const { task, pool } = parsePool('setup: "true"\npool: {workers: 1}\n', { file: 'pool.yaml' });
      await pools.apply({ name, size: pool, workers: { task, resourcesText: 'r' } });
      const pooled = parsePooledJob('run: "[ $STYX_JOB_TRY = 2 ] || sleep 100"\n', { file: 'test.yaml' });
      const job = await jobs.launch({ ...pooled, pool: name, resourcesText: 'r' });
      await jobs.until(job.id, ({ status }) => (status === 'RUNNING' ? true : undefined));
      await jobs.pause(job.id);
      await jobs.until(job.id, ({ copy }) => (copy === null ? true : undefined));
      await jobs.resume(job.id);
      await jobs.wait(job.id, { gone: true });
      await pools.down(name);
      while ((await pools.list()).length > 0) await new Promise((resolve) => setTimeout(resolve, 200));
    },
  },
  {
    name: 'group',
    workflows: /^(?:job|queue)\/|^cluster\/default\/job-/,
    async run(world, name) {
      const { jobs, pipelines } = world.styx;
      const last = 'getent hosts b-0.$SKYPILOT_JOBGROUP_NAME; [ $STYX_JOB_TRY = 2 ] || sleep 100';
      const tasks = [
        `name: ${name}\nexecution: parallel\nprimary_tasks: [a]`,
        `name: a\nrun: ${last}`,
        'name: b\nrun: sleep 100',
      ];
      const written = parseSubmission(tasks.join('\n---\n'), { file: 'test.yaml' });
      if (written.kind !== 'pipeline') throw new Error('not a pipeline');
      const { id } = await pipelines.launch(written);
      await pipelines.until(id, ({ tasks }) => (tasks.every(({ status }) => status === 'RUNNING') ? true : undefined));
      const { copy } = await jobs.view(`${id}/0`);
      const { nodes } = await world.styx.clusters.view(copy?.cluster ?? '', { budget: 60_000 });
      await world.cloud.preempt(nodes[0]?.instanceId ?? '');
      await pipelines.wait(id, { gone: true });
    },
  },
  {
    name: 'launch-setup-run-down',
    async run(world, cluster) {
      const job = await launch(world, cluster, 'num_nodes: 2\nsetup: "true"\nrun: "true"\n');
      await world.styx.clusters.waitJob(cluster, job);
      await down(world, cluster);
    },
  },
  {
    name: 'stop-start-exec',
    async run(world, cluster) {
      const { clusters } = world.styx;
      const job = await launch(world, cluster, 'run: "true"\n');
      await clusters.waitJob(cluster, job);
      await clusters.waitOperation(cluster, await clusters.stop(cluster));
      await clusters.waitOperation(cluster, await clusters.start(cluster));
      const { jobId } = await clusters.exec(cluster, world.task('run: exit 3\n').task);
      await clusters.waitJob(cluster, jobId ?? 0);
      await down(world, cluster);
    },
  },
  {
    name: 'cancel-and-fail',
    async run(world, cluster) {
      const { clusters } = world.styx;
      const job = await launch(world, cluster, 'num_nodes: 2\nrun: sleep 100\n');
      const second = await clusters.exec(cluster, world.task('run: sleep 100\nmax_duration: 1\n').task);
      await clusters.cancel(cluster, [job]);
      await clusters.waitJob(cluster, job);
      await clusters.waitJob(cluster, second.jobId ?? 0);
      const gang = 'num_nodes: 2\nrun: \'[ "$SKYPILOT_NODE_RANK" = 0 ] && exit 7; sleep 100\'\n';
      const third = await clusters.exec(cluster, world.task(gang).task);
      await clusters.waitJob(cluster, third.jobId ?? 0);
      await down(world, cluster);
    },
  },
  {
    name: 'no-place-then-down',
    async run(world, cluster) {
      const { clusters } = world.styx;
      world.limit(0);
      const answer = await clusters.launch({ name: cluster, ...world.task('run: "true"\n'), retryUntilUp: true });
      for (let tries = 0; tries < 2; ) {
        tries = (await clusters.view(cluster, { budget: 60_000 })).tries.length;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      await down(world, cluster);
      world.limit(1000);
      void answer;
    },
  },
  {
    name: 'autostop-then-relaunch',
    async run(world, cluster) {
      const { clusters } = world.styx;
      await launch(world, cluster, 'resources: {autostop: 1}\nrun: "true"\n');
      for (let status = ''; status !== 'STOPPED'; ) {
        status = (await clusters.view(cluster, { budget: 60_000 })).status;
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      const job = await launch(world, cluster, 'run: "true"\n');
      await clusters.waitJob(cluster, job);
      await clusters.autostop(cluster, null);
      await down(world, cluster);
    },
  },
  {
    name: 'files',
    async run(world, cluster) {
      const { clusters } = world.styx;
      const source = join(world.home, `source-${cluster}`);
      mkdirSync(source);
      writeFileSync(join(source, 'f'), 'content');
      const yaml = `workdir: ${source}\nfile_mounts: {~/data: ${source}}\n`;
      const job = await launch(world, cluster, `num_nodes: 2\n${yaml}setup: cat f\nrun: cat f ~/data/f\n`);
      const only = await launch(world, cluster, yaml);
      const { jobId } = await clusters.exec(cluster, world.task(`${yaml}run: cat f\n`).task);
      for (const id of [job, only, jobId ?? 0]) await clusters.waitJob(cluster, id);
      await down(world, cluster);
    },
  },
  {
    name: 'budget-told-then-stopped',
    async run(world, cluster) {
      const { clusters } = world.styx;
      const until = async (fits: (view: ClusterView) => boolean) => {
        while (!fits(await clusters.view(cluster, { budget: 60_000 }))) {
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      };
      world.price(36);
      await launch(world, cluster, 'resources: {cpus: 1}\nbudget: {max_cost: 0.02, on_exceed: notify}\n');
      await until(({ budget }) => budget?.exceeded != null);
      await launch(world, cluster, 'run: sleep 100\nbudget: {max_duration: 15s}\n');
      await until(({ status }) => status === 'STOPPED');
      const job = await launch(world, cluster, 'run: "true"\nbudget: {max_duration: 10}\n');
      await clusters.waitJob(cluster, job);
      await down(world, cluster);
      world.price(0);
    },
  },
  {
    name: 'catalog-update',
    workflows: /^catalog-update-/,
    async run(world) {
      const { catalogSchedule } = world.styx;
      // Of clouds that need a key, so that nothing is asked: the one is worth an error, as it is named.
      for (const name of ['VAST_API_KEY', 'LAMBDA_API_KEY']) delete process.env[name];
      await catalogSchedule.set({ every: 86_400 }, ['vast', 'lambda']);
      await catalogSchedule.trigger();
      while ((await catalogSchedule.view())?.last?.clouds == null) {
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      await catalogSchedule.off();
    },
  },
  {
    name: 'repair',
    async run(world, cluster) {
      const { clusters } = world.styx;
      await launch(world, cluster, 'num_nodes: 2\nresources: {cpus: 1}\n');
      const { nodes } = await clusters.view(cluster);
      await world.cloud.preempt(nodes[1]?.instanceId ?? '');
      while ((await clusters.view(cluster)).status !== 'UNHEALTHY')
        await new Promise((resolve) => setTimeout(resolve, 100));
      for (const kind of ['start', 'stop', 'start', 'down'] as const)
        await clusters.waitOperation(cluster, await clusters[kind](cluster));
    },
  },
  {
    name: 'ports',
    async run(world, cluster) {
      const { clusters } = world.styx;
      await launch(world, cluster, 'resources: {cpus: 1, ports: 8080}\n');
      await clusters.waitOperation(cluster, await clusters.ports(cluster, { open: ['9000'], close: ['8080'] }));
      await clusters.waitOperation(cluster, await clusters.ports(cluster, { close: ['9000'] }));
      for (const kind of ['stop', 'start', 'down'] as const)
        await clusters.waitOperation(cluster, await clusters[kind](cluster));
    },
  },
  {
    name: 'office-hours',
    workflows: /^hours\//,
    async run(world, cluster) {
      const { clusterSchedules } = world.styx;
      const yearly = scheduleRules({ cron: ['@yearly'] });
      await clusterSchedules.create(cluster, {
        up: yearly,
        down: yearly,
        end: 'down',
        launch: world.task('run: "true"'),
      });
      // One that is sent, and one that its cluster does not know how to obey.
      await clusterSchedules.trigger(cluster, 'up');
      await clusterSchedules.trigger(cluster, 'down');
      while ((await world.styx.clusters.list()).length > 0) await new Promise((resolve) => setTimeout(resolve, 100));
      await clusterSchedules.remove(cluster);
      await clusterSchedules.create(cluster, { up: yearly, down: yearly, end: 'stop', launch: null });
      await clusterSchedules.trigger(cluster, 'up');
      await new Promise((resolve) => setTimeout(resolve, 3_000));
      await clusterSchedules.remove(cluster);
    },
  },
  {
    name: 'ray',
    async run(world, cluster) {
      const { clusters } = world.styx;
      const until = async (fits: (view: ClusterView) => boolean) => {
        while (!fits(await clusters.view(cluster, { budget: 60_000 }))) {
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      };
      const stands = ({ ray }: ClusterView) => ray?.status === 'UP' && ray.reason === '';
      const script = `ray: {restart_head: true}\nrun: test -n "$RAY_ADDRESS"\n`;
      const job = await launch(world, cluster, `num_nodes: 2\nresources: {cpus: 1}\n${script}`);
      await clusters.waitJob(cluster, job);
      const kill = async (which: 'raylet' | 'head', number: number) => {
        const pids = () => rayProcesses(world.home, which).map(({ pid }) => pid);
        const before = pids();
        const pid = before.at(number) ?? 0;
        process.kill(pid, 'SIGKILL');
        while (pids().includes(pid) || pids().length < before.length) {
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
        await until(stands);
      };
      await kill('raylet', -1);
      await kill('head', 0);
      await clusters.ray(cluster, null);
      await until(({ ray }) => ray === undefined);
      const { jobId } = await clusters.exec(cluster, world.task(script).task);
      await clusters.waitJob(cluster, jobId ?? 0);
      for (const kind of ['stop', 'start'] as const)
        await clusters.waitOperation(cluster, await clusters[kind](cluster));
      await until(stands);
      await down(world, cluster);
    },
  },
];
