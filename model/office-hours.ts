/** What schedules do to clusters: bring them up, stop or end them at given times. */
import type { ClusterInput, CommandPayloads } from './commands.ts';
import type { Timing } from './timing.ts';

export const HOURS_WORKFLOW = 'officeHours';

/** A cluster has one schedule of each at most. */
export const SIDES = ['up', 'down'] as const;
export type Side = (typeof SIDES)[number];

export function clusterScheduleId(workspace: string, cluster: string, side: Side | '' = ''): string {
  return `cluster-schedule/${workspace}/${cluster}${side === '' ? '' : `/${side}`}`;
}

/** Of the workflows that it starts, without their times. */
export function hoursId(workspace: string, cluster: string, side: Side): string {
  return `hours/${workspace}/${cluster}/${side}`;
}

/** What is sent, but for its request id, which each run has of its own. */
export type HoursCommand =
  | {
      readonly kind: 'launch';
      readonly payload: Omit<CommandPayloads['launch'], 'requestId'>;
      /** Of the cluster's workflow, when there is none. */
      readonly cluster: ClusterInput;
    }
  | { readonly kind: 'start' | 'stop' | 'down' };

export interface HoursInput {
  readonly version: 1;
  readonly workspace: string;
  readonly cluster: string;
  /** Of this making of the schedule. */
  readonly made: string;
  readonly user: string;
  readonly side: Side;
  readonly command: HoursCommand;
  readonly timing: Timing;
}

/** overtaken: when its turn came, the other side had been due after it. */
export interface HoursResult {
  readonly outcome: 'sent' | 'overtaken' | 'refused';
  /** For people; empty when there is nothing to say. */
  readonly note: string;
}

/** ms, from the id that the server made up. */
export function dueOf(workflowId: string): number {
  return Date.parse(/\d{4}-\d\d-\d\dT[\d:.]+Z$/.exec(workflowId)?.[0] ?? '');
}
