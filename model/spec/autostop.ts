/** `resources.autostop`, and the hooks that run before machines go away. */
import { z } from 'zod';
import { attempt, doc, FieldError, field, isMap, mapOf, nested, shown, wordProblem } from './field.ts';
import { flagField, textField, timeSeconds, wholeField, wordField } from './values.ts';

export interface Autostop {
  readonly idleMinutes: number;
  readonly down: boolean;
  /** null: not said. */
  readonly waitFor: 'jobs_and_ssh' | 'jobs' | 'none' | null;
}

export interface Hook {
  readonly run: string;
  readonly events: readonly HookEvent[];
  readonly timeoutSeconds: number;
}

/** What `true` and a map without minutes mean: SkyPilot documents 5, and its parser makes it 0. */
export const DEFAULT_IDLE_MINUTES = 5;
const HOOK_EVENTS = ['stop', 'preemption', 'down'] as const;
type HookEvent = (typeof HOOK_EVENTS)[number];
const HOOK_TIMEOUT_SECONDS = 3600;
const MAX_HOOKS = 32;
const MAX_HOOK_CHARACTERS = 16 * 1024;

export const autostopFields = mapOf({
  idle_minutes: doc(wholeField(0), 'whole minutes; 0 counts as 1', String(DEFAULT_IDLE_MINUTES)),
  down: doc(flagField(), '`true`: end the cluster instead of stopping it', '`false`'),
  wait_for: doc(
    wordField(['jobs_and_ssh', 'jobs', 'none']),
    'what counts as activity: `jobs_and_ssh`, `jobs`, `none`',
    '`jobs_and_ssh`',
  ),
  hook: doc(textField(), 'script that runs before the machines go; the older form of `config.hooks`'),
  hook_timeout: doc(wholeField(1), 'seconds after which the hook is ended', String(HOOK_TIMEOUT_SECONDS)),
});

/** `false`: said to be off, as opposed to not said. */
export interface WrittenAutostop {
  readonly autostop: Autostop | false;
  readonly hook: Hook | null;
}

function minutes(value: unknown): number {
  const unit = typeof value === 'string' && /s$/i.test(value);
  const seconds = unit ? null : timeSeconds(value, 60);
  if (seconds === null || seconds > 1e9) {
    throw new FieldError(`must be minutes from 0, or such as "90m", "10h" or "2d", not ${shown(value)}`);
  }
  return seconds / 60;
}

export const autostop = z
  .unknown()
  .meta({ anyOf: [{ type: ['boolean', 'integer', 'string'] }, { $ref: '#/$defs/autostop' }] })
  .transform((value, ctx): WrittenAutostop => {
    if (value === false) return { autostop: false, hook: null };
    if (!isMap(value)) {
      const idleMinutes = value === true ? DEFAULT_IDLE_MINUTES : attempt(ctx, () => minutes(value));
      return { autostop: { idleMinutes, down: false, waitFor: null }, hook: null };
    }
    const parsed = nested(ctx, autostopFields, value);
    if (parsed === null) return z.NEVER;
    const { idle_minutes, down = false, wait_for, hook, hook_timeout } = parsed;
    return {
      autostop: { idleMinutes: idle_minutes ?? DEFAULT_IDLE_MINUTES, down, waitFor: wait_for ?? null },
      hook:
        hook === undefined || hook === ''
          ? null
          : { run: hook, events: [down ? 'down' : 'stop'], timeoutSeconds: hook_timeout ?? HOOK_TIMEOUT_SECONDS },
    };
  });

export function autostopConfig(rule: Autostop | false): unknown {
  if (rule === false) return false;
  const { idleMinutes, down, waitFor } = rule;
  return { idle_minutes: idleMinutes, down, ...(waitFor === null ? {} : { wait_for: waitFor }) };
}

const hookEvents = field({ type: 'array', items: { enum: HOOK_EVENTS }, minItems: 1, uniqueItems: true }, (value) => {
  if (!Array.isArray(value) || value.length === 0 || new Set(value).size < value.length) {
    throw new FieldError(`must be a list of some of ${HOOK_EVENTS.join(', ')}, each once, not ${shown(value)}`);
  }
  for (const [index, event] of value.entries()) {
    if (!HOOK_EVENTS.includes(event)) throw new FieldError(wordProblem(event, HOOK_EVENTS), [index]);
  }
  return value as HookEvent[];
});

const hook = mapOf({
  run: doc(z.string().min(1).max(MAX_HOOK_CHARACTERS), 'script', '(required)'),
  events: doc(hookEvents, 'before what it runs: `stop`, `preemption`, `down`', 'all'),
  timeout: doc(wholeField(1), 'seconds after which it is ended', String(HOOK_TIMEOUT_SECONDS)),
}).transform(
  (written, ctx): Hook =>
    attempt(ctx, () => {
      if (written.run === undefined) throw new FieldError('is missing', ['run']);
      return {
        run: written.run,
        events: written.events ?? HOOK_EVENTS,
        timeoutSeconds: written.timeout ?? HOOK_TIMEOUT_SECONDS,
      };
    }),
);

export const hooks = z.array(hook).max(MAX_HOOKS);

export function hookConfig({ run, events, timeoutSeconds }: Hook): Record<string, unknown> {
  return { run, events: [...events], timeout: timeoutSeconds };
}
