/**
 * Every failure in Styx is one of these kinds; the kind, never the text, decides what happens next.
 * Providers map their own errors to a kind (`Cloud.classify`), activities carry it as the `type` of Temporal's
 * ApplicationFailure, and the CLI maps it to an exit code.
 */
export const ERROR_KINDS = [
  'capacity',
  'quota',
  'auth',
  'invalid',
  'not-found',
  'throttled',
  'transient',
  'unreachable',
  'refused',
  'aborted',
  'internal',
] as const;
export type ErrorKind = (typeof ERROR_KINDS)[number];

export interface ErrorPolicy {
  /** Does an activity that failed so run again by itself? */
  readonly retried: boolean;
  /** What a launch stops trying after this answer; null: the failure says nothing about a place. */
  readonly blocks: 'zone' | 'region' | 'cloud' | 'candidate' | null;
  /** Exit code of a CLI command that ends with it. */
  readonly exitCode: number;
  /** What the user can do next, when the error itself does not say it better. */
  readonly hint: string;
}

export const ERROR_POLICIES: Readonly<Record<ErrorKind, ErrorPolicy>> = {
  capacity: {
    retried: false,
    blocks: 'zone',
    exitCode: 5,
    hint: 'Try another place or size, or pass --retry-until-up.',
  },
  quota: {
    retried: false,
    blocks: 'region',
    exitCode: 5,
    hint: 'Ask the provider for more quota, or use another region.',
  },
  auth: {
    retried: false,
    blocks: 'cloud',
    exitCode: 6,
    hint: 'Run `styx check` to see which credentials are missing.',
  },
  invalid: { retried: false, blocks: 'candidate', exitCode: 2, hint: 'Correct the request and run the command again.' },
  'not-found': { retried: false, blocks: null, exitCode: 4, hint: 'Run `styx status` to see what exists.' },
  throttled: { retried: true, blocks: null, exitCode: 7, hint: 'Wait a minute and run the command again.' },
  transient: { retried: true, blocks: null, exitCode: 7, hint: 'Run the command again; it is safe to repeat.' },
  unreachable: {
    retried: true,
    blocks: null,
    exitCode: 7,
    hint: 'Run `styx status` to see whether the machine still exists.',
  },
  refused: {
    retried: false,
    blocks: null,
    exitCode: 3,
    hint: 'Run `styx status` to see what state the cluster is in.',
  },
  aborted: { retried: false, blocks: null, exitCode: 8, hint: 'Another command ended this one; see `styx status`.' },
  internal: { retried: true, blocks: null, exitCode: 1, hint: 'Run again with --debug and report what it prints.' },
};

/** A failure as plain JSON: what workflows record and signals carry. */
export interface Failure {
  readonly kind: ErrorKind;
  /** One sentence for the user: what failed and why. */
  readonly message: string;
  /** What to do next, when it is better than the kind's own hint. */
  readonly hint?: string;
}

/** The one error class of everything outside workflows. */
export class StyxError extends Error {
  readonly kind: ErrorKind;
  readonly hint: string | undefined;

  constructor(kind: ErrorKind, message: string, options: { hint?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'StyxError';
    this.kind = kind;
    this.hint = options.hint;
  }

  toFailure(): Failure {
    return this.hint === undefined
      ? { kind: this.kind, message: this.message }
      : { kind: this.kind, message: this.message, hint: this.hint };
  }
}

export function isErrorKind(text: unknown): text is ErrorKind {
  return typeof text === 'string' && (ERROR_KINDS as readonly string[]).includes(text);
}

/** For the end of a `switch` over a union: a new member that nobody handled is a compile error. */
export function assertNever(value: never): never {
  throw new Error(`unhandled case: ${JSON.stringify(value)}`);
}
