/** `notifications` of the configuration: who is told when a managed job changes its state. */
import { z } from 'zod';
import { MANAGED_STATUSES, type ManagedStatus } from '../managed-job.ts';
import { doc, FieldError, field, shown } from '../spec/field.ts';
import { wordField } from '../spec/values.ts';
import { section } from './forms.ts';

export interface NotificationRule {
  /** For people; default: where it goes. */
  readonly name: string | null;
  /** Exactly one of both. */
  readonly url: string | null;
  readonly command: string | null;
  /** What messages to the URL are signed with: itself, or the file that holds it. */
  readonly secret: string | null;
  readonly secretFile: string | null;
  readonly statuses: readonly ManagedStatus[];
  /** Null: all. */
  readonly workspaces: readonly string[] | null;
  /** Of jobs, with `*` for anything; null: all, also those without a name. */
  readonly names: readonly string[] | null;
}

const address = field({ type: 'string', format: 'uri' }, (value) => {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : null;
  if (url === null || !/^https?:$/.test(url.protocol))
    throw new FieldError(`must be an address such as https://example.com/hook, not ${shown(value)}`);
  return value as string;
});

const filled = field({ type: 'string', minLength: 1 }, (value) => {
  if (typeof value !== 'string' || value.trim() === '') throw new FieldError(`must be text, not ${shown(value)}`);
  return value;
});

const texts = z.array(filled);

const written = section({
  name: doc(filled, 'for people', 'where it goes'),
  url: doc(address, 'is sent each change of state by POST; this or `command`'),
  command: doc(filled, 'is run by `bash -c` on the worker, with the change on its standard input; this or `url`'),
  secret: doc(filled, 'what messages to `url` are signed with'),
  secret_file: doc(filled, 'the file that holds it, from the data directory on'),
  statuses: doc(z.array(wordField(MANAGED_STATUSES)), 'the states that are told', 'all'),
  workspaces: doc(texts, 'only of jobs of these', 'all'),
  names: doc(texts, 'only of jobs with these names; `*` stands for anything', 'all'),
}).superRefine((rule, ctx) => {
  const problem = ruleProblem(rule);
  if (problem !== null) ctx.addIssue({ code: 'custom', message: problem });
});

function ruleProblem(rule: {
  url?: unknown;
  command?: unknown;
  secret?: unknown;
  secret_file?: unknown;
}): string | null {
  if ((rule.url === undefined) === (rule.command === undefined)) return 'must have either url or command';
  const secrets = [rule.secret, rule.secret_file].filter((one) => one !== undefined).length;
  if (secrets > 1) return 'must have at most one of secret and secret_file';
  return secrets === 1 && rule.url === undefined ? 'has a secret, which is for a url: a command is not signed' : null;
}

export const notifications = z.array(written);

export function notificationRules(given: z.output<typeof notifications> | undefined): readonly NotificationRule[] {
  return (given ?? []).map((rule) => ({
    name: rule.name ?? null,
    url: rule.url ?? null,
    command: rule.command ?? null,
    secret: rule.secret ?? null,
    secretFile: rule.secret_file ?? null,
    statuses: rule.statuses ?? MANAGED_STATUSES,
    workspaces: rule.workspaces ?? null,
    names: rule.names ?? null,
  }));
}
