/** Every command, with its file: only the file of the one that runs is loaded. */
import type { CommandEntry } from './command-entry.ts';

export const COMMANDS: readonly CommandEntry[] = [
  {
    name: 'launch',
    summary: 'Launch a cluster, or use one, and run a task on it',
    load: () => import('./commands/launch.ts'),
  },
  { name: 'exec', summary: 'Run a task on a cluster that is up', load: () => import('./commands/exec.ts') },
  { name: 'status', summary: 'Show clusters', load: () => import('./commands/status.ts') },
  {
    name: 'cost-report',
    summary: 'Show what clusters have cost, ended ones too',
    load: () => import('./commands/cost-report.ts'),
  },
  { name: 'queue', summary: 'Show the jobs of clusters', load: () => import('./commands/queue.ts') },
  {
    name: 'history',
    summary: 'Tell the life of a cluster or of a job, with times and costs',
    load: () => import('./commands/history.ts'),
  },
  { name: 'logs', summary: "Show a job's output and follow it", load: () => import('./commands/logs.ts') },
  { name: 'cancel', summary: 'Cancel jobs', load: () => import('./commands/cancel.ts') },
  { name: 'stop', summary: 'Stop clusters, keeping their disks', load: () => import('./commands/stop.ts') },
  { name: 'start', summary: 'Start stopped clusters', load: () => import('./commands/start.ts') },
  { name: 'down', summary: 'End clusters and everything made for them', load: () => import('./commands/down.ts') },
  {
    name: 'autostop',
    summary: 'Stop or end clusters when they are idle',
    load: () => import('./commands/autostop.ts'),
  },
  {
    name: 'ports',
    summary: 'Open ports of a cluster to everybody, or close them',
    load: () => import('./commands/ports.ts'),
  },
  {
    name: 'ssh',
    summary: 'Open a shell on a cluster, or run a command there',
    load: () => import('./commands/ssh.ts'),
  },
  {
    name: 'cp',
    summary: 'Copy files to and from clusters',
    load: () => import('./commands/cp.ts'),
  },
  {
    name: 'jobs',
    summary: 'Managed jobs: launched, recovered and ended on clusters of their own',
    load: () => import('./commands/jobs.ts'),
  },
  {
    name: 'schedule',
    summary: 'Bring clusters up and take them away at given times',
    load: () => import('./commands/schedule.ts'),
  },
  {
    name: 'ray',
    summary: 'Bring Ray up on a cluster, look at it, end it',
    load: () => import('./commands/ray.ts'),
  },
  { name: 'check', summary: 'Check the credentials of clouds', load: () => import('./commands/check.ts') },
  {
    name: 'optimize',
    summary: 'Show where a task would cost least, by the catalogues',
    load: () => import('./commands/optimize.ts'),
  },
  {
    name: 'plan',
    summary: 'Write what a launch would do to a file, for launch --plan',
    load: () => import('./commands/plan.ts'),
  },
  {
    name: 'gpus',
    summary: 'Show accelerators, who offers them and for how much',
    load: () => import('./commands/gpus.ts'),
  },
  {
    name: 'show-gpus',
    summary: 'The same as `gpus list`',
    load: () => import('./commands/show-gpus.ts'),
  },
  {
    name: 'catalog',
    summary: 'Show how old prices are and where they are from, and fetch new ones',
    load: () => import('./commands/catalog.ts'),
  },
  { name: 'validate', summary: 'Check task files, touching nothing', load: () => import('./commands/validate.ts') },
  {
    name: 'config',
    summary: 'Show the configuration and where it is from',
    load: () => import('./commands/config.ts'),
  },
  {
    name: 'doctor',
    summary: 'Say what is wrong with this installation, and what to do',
    load: () => import('./commands/doctor.ts'),
  },
  {
    name: 'sweep',
    summary: 'Find what stands at the clouds and is nobody’s, and remove it',
    load: () => import('./commands/sweep.ts'),
  },
  { name: 'server', summary: 'Start, stop and inspect the Styx server', load: () => import('./commands/server.ts') },
  { name: 'ui', summary: "Show Temporal's Web UI, readable, until Ctrl-C", load: () => import('./commands/ui.ts') },
  {
    name: 'keys',
    summary: 'Show, change and copy the keys that seal data',
    load: () => import('./commands/keys.ts'),
  },
  { name: 'store', summary: 'Tidy up the store of files that jobs brought', load: () => import('./commands/store.ts') },
  { name: 'version', summary: 'Show the version', load: () => import('./commands/version.ts') },
  {
    name: 'completion',
    summary: 'Print a completion script for a shell',
    load: () => import('./commands/completion.ts'),
  },
  {
    name: '__names',
    summary: 'Cluster names, for completion',
    load: () => import('./commands/names.ts'),
    hidden: true,
  },
];

export function findCommand(name: string): CommandEntry | undefined {
  return COMMANDS.find((entry) => entry.name === name);
}
