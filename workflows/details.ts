/** What Temporal's Web UI shows of a workflow that runs, in Markdown: what is happening, since when, what comes next. */
import { setCurrentDetails } from '@temporalio/workflow';
import type { Placement } from '../model/machines.ts';

/** Temporal takes 20 kB. */
const LENGTH = 15_000;

export function utc(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** Since now. */
export function showDetails(happening: string, next: string | null, more: readonly string[] = []): void {
  const lines = [`**${happening}** since ${utc(Date.now())}`, ...(next === null ? [] : [`Next: ${next}`]), ...more];
  setCurrentDetails(lines.join('\n\n').slice(0, LENGTH));
}

/** One below the other. */
export function list(title: string, items: readonly string[]): string[] {
  return items.length === 0 ? [] : [`${title}\n${items.map((item) => `- ${item}`).join('\n')}`];
}

/** What an end of it has made so. */
export function openText(ports: readonly string[]): string {
  return ports.length === 0 ? 'open no port' : `open ports ${ports.join(', ')} and no others`;
}

export function placementText({ numNodes, instanceType, cloud, region, zone }: Placement): string {
  return `${numNodes}x ${instanceType} in ${cloud}/${region}/${zone}`;
}
