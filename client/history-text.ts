/** Commands and machines in words. Nothing of a task is told but its name: the rest may be private. */
import { infraText } from '../model/cluster-state.ts';
import type {
  AutostopCommand,
  CommandAnswer,
  CommandKind,
  ExecCommand,
  LaunchCommand,
  PortsCommand,
  RayCommand,
  StartCommand,
} from '../model/commands.ts';
import { budgetText } from '../model/cost-budget.ts';
import { formatDuration } from '../model/duration.ts';
import { assertNever } from '../model/errors.ts';
import { nodeHourly, type Placement } from '../model/machines.ts';
import type { AutostopRule } from '../model/task.ts';
import type { HistoryEntry } from './history.ts';

export interface Asked {
  readonly kind: CommandKind;
  readonly payload: { readonly requestId: string; readonly user: string };
  readonly answer: CommandAnswer | null;
}

function retriesText({ retryUntilUp, retryFor }: Pick<StartCommand, 'retryUntilUp' | 'retryFor'>): string[] {
  if (!retryUntilUp) return [];
  return [retryFor === undefined ? 'until it is up' : `tried for ${formatDuration(retryFor / 1_000)}`];
}

export function commandText({ kind, payload, answer }: Asked): string {
  const { user } = payload;
  const note = answer?.note == null ? '' : ` (${answer.note})`;
  switch (kind) {
    case 'launch': {
      const launch = payload as LaunchCommand;
      const { spec, commandLine, task, autostop = task.autostop } = launch;
      const parts = [
        `${user} launches ${spec.resourcesText}`,
        ...(answer?.jobId == null ? [] : [`with ${jobText(answer.jobId, task.name)}`]),
        ...retriesText(launch),
      ];
      const rules = [
        ...(autostop == null ? [] : [ruleText(autostop)]),
        ...(task.budget === undefined ? [] : [`budget ${budgetText(task.budget)}, then ${task.budget.onExceed}`]),
        ...(commandLine === '' ? [] : [`\`${commandLine}\``]),
      ];
      return `${[parts.join(' '), ...rules].join('; ')}${note}`;
    }
    case 'exec':
      return `${user} submits ${jobText(answer?.jobId ?? 0, (payload as ExecCommand).task.name)}${note}`;
    case 'cancel': {
      const jobs = answer?.jobIds ?? [];
      return jobs.length === 0
        ? `${user} cancels jobs; none was left to be cancelled${note}`
        : `${user} cancels job${jobs.length === 1 ? '' : 's'} ${jobs.join(', ')}${note}`;
    }
    case 'stop':
      return `${user} stops it${note}`;
    case 'start':
      return `${[`${user} starts it`, ...retriesText(payload as StartCommand)].join(' ')}${note}`;
    case 'down':
      return `${user} takes it down${note}`;
    case 'autostop': {
      const { rule } = payload as AutostopCommand;
      return rule === null ? `${user} takes autostop back${note}` : `${user} sets ${ruleText(rule)}${note}`;
    }
    case 'ports': {
      const { open, close } = payload as PortsCommand;
      const parts = [...(open.length === 0 ? [] : [`opens ports ${open.join(', ')}`])];
      if (close.length > 0) parts.push(`closes ports ${close.join(', ')}`);
      return `${user} ${parts.join(' and ')}${note}`;
    }
    case 'ray': {
      const { ray } = payload as RayCommand;
      const what = ray === null ? 'ends its Ray' : `asks for Ray${ray.version === null ? '' : ` ${ray.version}`}`;
      return `${user} ${what}${note}`;
    }
    default:
      return assertNever(kind);
  }
}

function jobText(id: number, name: string | null): string {
  return name === null ? `job ${id}` : `job ${id} (${name})`;
}

function ruleText({ idleMinutes, down }: AutostopRule): string {
  return `autostop after ${idleMinutes} idle minute${idleMinutes === 1 ? '' : 's'}${down ? ', down' : ''}`;
}

export function machines({ numNodes, instanceType, useSpot, ...place }: Placement): string {
  const { cloud, region, zone } = place;
  return `${numNodes}x ${instanceType}${useSpot ? ' (spot)' : ''} in ${cloud}/${region}/${zone}`;
}

export function placeOf(placement: Placement): Pick<HistoryEntry, 'infra' | 'instanceType' | 'costPerHour'> {
  const infra = infraText(placement);
  return {
    ...(infra === null ? {} : { infra }),
    instanceType: placement.instanceType,
    costPerHour: nodeHourly(placement) * placement.numNodes,
  };
}

export function priceText(placement: Placement): string {
  const hourly = nodeHourly(placement) * placement.numNodes;
  return hourly > 0 ? `, ${dollars(hourly)} an hour` : '';
}

export function dollars(amount: number): string {
  return `$${amount.toFixed(amount > 0 && amount < 0.1 ? 4 : 2)}`;
}
