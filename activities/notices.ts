/** Tells receivers of the configuration of managed jobs' changes of state. Their addresses and secrets never leave the worker. */
import { Context } from '@temporalio/activity';
import type { NotificationRule } from '../model/config/notifications.ts';
import { StyxError } from '../model/errors.ts';
import { stableHash } from '../model/identity.ts';
import { MOST_RECEIVERS, type NoticeReceiver } from '../model/job-notices.ts';
import { loadConfig } from '../system/config.ts';
import type { ActivityContext } from './context.ts';
import { crashPoint } from './crash-points.ts';
import { deliver } from './deliver.ts';
import type { NoticeActivities, NotifiedJob, ReceiversInput, SendNoticeInput } from './types.ts';
import { masked, whileHeartbeating } from './wrap.ts';

/** However late it is, so often it is tried. */
const LEAST_TRIES = 3;

export function noticeSteps({ styxHome }: Pick<ActivityContext, 'styxHome'>): NoticeActivities {
  const rules = async () => (await loadConfig({ home: styxHome, project: null })).config.notifications;
  return {
    async receiversOf({ job, timing }: ReceiversInput): Promise<NoticeReceiver[]> {
      return await whileHeartbeating(timing, async () => {
        const wanting = (await rules()).filter((rule) => wants(rule, job));
        const receivers = wanting.map((rule) => ({ key: keyOf(rule), statuses: rule.statuses }));
        return receivers.slice(0, MOST_RECEIVERS);
      });
    },

    async sendNotice(input: SendNoticeInput): Promise<{ problem: string | null }> {
      return await whileHeartbeating(input.timing, async (signal) => {
        const rule = (await rules()).find((one) => keyOf(one) === input.receiver);
        // Nobody wants it any more.
        if (rule === undefined) return { problem: null };
        const problem = await send(rule, input, styxHome, signal);
        if (problem === null || isGivenUp(input)) return { problem };
        throw new StyxError('transient', problem);
      });
    },
  };
}

function isGivenUp({ giveUpAt }: SendNoticeInput): boolean {
  return Date.now() >= giveUpAt && Context.current().info.attempt >= LEAST_TRIES;
}

/** Null when it was taken. */
async function send(
  rule: NotificationRule,
  { job, notice }: SendNoticeInput,
  home: string,
  signal: AbortSignal,
): Promise<string | null> {
  const body = JSON.stringify(messageOf(job, notice));
  try {
    await deliver(rule, { id: idOf(job, notice), status: notice.status, body }, home, signal);
    crashPoint('sendNotice.called');
    return null;
  } catch (error) {
    signal.throwIfAborted();
    const hidden = [rule.url, rule.secret].filter((one) => one !== null);
    return `${receiverName(rule)}: ${(masked(error, hidden) as Error).message}`;
  }
}

function keyOf({ url, command, statuses, workspaces, names }: NotificationRule): string {
  return stableHash(['notification', url ?? '', command ?? '', JSON.stringify([statuses, workspaces, names])], 12);
}

function wants({ workspaces, names }: NotificationRule, job: NotifiedJob): boolean {
  if (workspaces !== null && !workspaces.includes(job.workspace)) return false;
  return names === null || names.some((pattern) => job.name !== null && globOf(pattern).test(job.name));
}

function globOf(pattern: string): RegExp {
  const parts = pattern.split('*').map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's');
}

/** Of an address only its host: the rest may be what lets others send there. */
function receiverName({ name, url }: NotificationRule): string {
  return name ?? (url === null ? 'command' : new URL(url).host);
}

/** The same however often it is sent. */
function idOf(job: NotifiedJob, { seq }: SendNoticeInput['notice']): string {
  return `${job.workflowId}/${seq}`;
}

/** docs/notifications.md describes this shape. */
function messageOf(job: NotifiedJob, notice: SendNoticeInput['notice']) {
  const { at, status, previous, reason, recoveries, cluster, infra, cost } = notice;
  return {
    version: 1,
    id: idOf(job, notice),
    type: 'managed-job.status',
    at: new Date(at).toISOString(),
    status,
    previous,
    reason,
    try: notice.try,
    recoveries,
    cluster,
    infra,
    cost,
    job: {
      id: job.number,
      workflowId: job.workflowId,
      name: job.name,
      workspace: job.workspace,
      user: job.user,
      taskId: job.taskId,
    },
  };
}
