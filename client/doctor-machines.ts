/** Machines at clouds: those that cost and that nobody sees to, of clusters whose workflow was closed from outside or of no cluster at all. */

import { setTimeout as sleep } from 'node:timers/promises';
import type { Cloud } from '../clouds/cloud.ts';
import type { CloudResource } from '../model/cloud-resource.ts';
import { StyxError } from '../model/errors.ts';
import { lifeOf } from '../model/identity.ts';
import { instanceExists } from '../model/machines.ts';
import { mapLimited } from '../model/map-limited.ts';
import type { Finding, LeftMachine } from './doctor.ts';
import { examineClusters } from './doctor-clusters.ts';
import { type Known, terminate } from './doctor-workflows.ts';
import { toStyxError } from './errors.ts';
import { chainOf, Reader } from './histories.ts';
import { tellCluster } from './history-cluster.ts';
import type { Link } from './link.ts';

/** The index may not have the cluster yet for which a younger one was made. */
const YOUNG_MS = 15_000;
const END_MS = 60_000;
const CALLS_AT_ONCE = 8;

/** Adds to `counted` what machines there are. */
export async function examineMachines(link: Link, known: Known, counted: { seen: number }): Promise<Finding[]> {
  // Without the list of clusters every machine would seem to be nobody's.
  if (known.listedAt === null) throw new StyxError('transient', 'running clusters could not be listed');
  const { cloudNamed, cloudNames } = await import('../clouds/registry.ts');
  const installation = await link.installation();
  const generations = await mapLimited(known.lost, CALLS_AT_ONCE, async (lost) => {
    const chain = await chainOf(link, lost.workflowId, lost.runId);
    const told = chain === null ? null : await tellCluster(chain, new Reader(link.converter));
    const generation = told?.generation ?? '';
    // A workflow that was reset goes on in another run of the same life.
    const life = await runningLife(link, lost.workflowId);
    return life !== null && generation.startsWith(`${life}-`) ? null : { ...lost, generation };
  }).then((all) => all.filter((lost) => lost !== null));
  const found = await mapLimited(cloudNames(), CALLS_AT_ONCE, async (name) => {
    const cloud = await cloudNamed(name);
    try {
      return await onCloud(cloud, { link, installation, known, generations, counted });
    } catch (error) {
      const { message } = cloud.classify(error);
      return [unchecked(name, message)];
    }
  });
  const told = generations.flatMap(({ workflowId, generation }) => stillRunning(link, known, workflowId, generation));
  return [...told, ...found.flat()];
}

/** What a cluster started outlives it when that is closed from outside; its watch keeps the nodes from stopping by themselves. */
function stillRunning(link: Link, { running }: Known, workflowId: string, generation: string): Finding[] {
  const prefix = `${workflowId}/${generation.replace(/\d+$/, '')}`;
  const left = running.filter((id) => id.startsWith(prefix));
  if (left.length === 0 || generation === '') return [];
  const problem = `it was closed from outside, and what it started still runs: ${left.join(', ')}`;
  return [
    {
      severity: 'warning',
      check: 'machines',
      subject: workflowId,
      problem,
      next: `End that with ${terminate(link, prefix)}.`,
    },
  ];
}

/** Only what a person has confirmed. Answers the machines that are still there after a minute. @throws what the cloud says */
export async function endMachines(machines: readonly LeftMachine[]): Promise<LeftMachine[]> {
  const { cloudNamed } = await import('../clouds/registry.ts');
  const left = await mapLimited(machines, CALLS_AT_ONCE, async (machine) => {
    const cloud = await cloudNamed(machine.cloud);
    for (const end = Date.now() + END_MS; Date.now() < end; await sleep(500)) {
      // Again and again: some of what a placement had can go only after its machines.
      const beside = await cloud.terminate(machine, machine.placementKey);
      const [found] = await cloud.list(machine, { ids: [machine.id] });
      if (beside.length === 0 && (found === undefined || !instanceExists(found.state))) return null;
    }
    return machine;
  });
  return left.filter((machine) => machine !== null);
}

/** Of the workflow that runs under an id now, by the server's own word and not by its index's; null: none does. */
async function runningLife(link: Link, workflowId: string): Promise<string | null> {
  try {
    const { status, raw } = await link.read((workflow) => workflow.getHandle(workflowId).describe());
    return status.name === 'RUNNING' ? lifeOf(raw.workflowExecutionInfo?.firstRunId ?? '') : null;
  } catch (error) {
    if (toStyxError(error).kind === 'not-found') return null;
    throw error;
  }
}

interface Wanted {
  readonly link: Link;
  readonly installation: string;
  readonly known: Known;
  readonly generations: readonly (Known['lost'][number] & { readonly generation: string })[];
  readonly counted: { seen: number };
}

async function onCloud(cloud: Cloud, { link, installation, known, generations, counted }: Wanted): Promise<Finding[]> {
  // No place: there are no credentials of it here.
  if ((await cloud.places()).length === 0) return [];
  const all = (await cloud.owned(installation)).filter(({ kind }) => kind === 'instance');
  counted.seen += all.length;
  const findings: Finding[] = [];
  const seen = new Set<string>();
  const of = (wanted: string) => all.filter(({ workflowId }) => workflowId === wanted);
  for (const { workflowId, generation, how } of generations) {
    const left = of(workflowId).filter((one) => one.generation === generation);
    for (const { id } of left) seen.add(id);
    if (left.length === 0) continue;
    const problem = `its workflow was closed from outside (${how}), and nobody sees to its machines: ${texts(left)}`;
    findings.push({ severity: 'error', check: 'machines', subject: workflowId, problem, ...endThem(left) });
  }
  for (const { workflowId, readable } of known.clusters) {
    const own = of(workflowId);
    for (const { id } of own) seen.add(id);
    if (readable || own.length === 0) continue;
    const problem = `its key is not here, and until it is nothing can stop or end its machines: ${texts(own)}`;
    const next = 'They cost until then: bring the key back, or end the cluster as said of its key.';
    findings.push({ severity: 'warning', check: 'keys', subject: workflowId, problem, next });
  }
  const oldest = (known.listedAt ?? 0) - YOUNG_MS;
  const unclaimed = () => all.filter(({ id, createdAt }) => !seen.has(id) && (createdAt ?? 0) < oldest);
  // While a cluster goes on as new the index may have none of its runs as a running one.
  for (const workflowId of unclaimed().length === 0 ? [] : known.closed) {
    const own = of(workflowId).filter(({ id }) => !seen.has(id));
    if (own.length > 0 && (await runningLife(link, workflowId)) !== null) for (const { id } of own) seen.add(id);
  }
  const nobodys = unclaimed();
  if (nobodys.length > 0) {
    const problem = `machines of this installation that belong to no cluster that runs: ${texts(nobodys)}`;
    findings.push({ severity: 'error', check: 'machines', subject: cloud.name, problem, ...endThem(nobodys) });
  }
  const summaries = known.clusters.flatMap(({ summary }) => summary ?? []);
  findings.push(...(await examineClusters(link, cloud, summaries, all)));
  return findings;
}

function texts(machines: readonly CloudResource[]): string {
  return machines.map(({ id, state }) => `${id} (${state})`).join(', ');
}

function endThem(machines: readonly CloudResource[]): Pick<Finding, 'next' | 'machines'> {
  return {
    next: '`styx doctor --end-machines` ends them now, with what is on their disks; `styx sweep --fix` after a second look.',
    machines: machines.flatMap(({ cloud, region, zone, id, placementKey }) =>
      placementKey === null ? [] : [{ cloud, region, zone, id, placementKey }],
    ),
  };
}

function unchecked(cloud: string, why: string): Finding {
  const problem = `its machines could not be listed: ${why}`;
  return { severity: 'unchecked', check: 'machines', subject: cloud, problem, next: `Run \`styx check ${cloud}\`.` };
}
