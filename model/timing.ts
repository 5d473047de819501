/**
 * Every wait of every workflow, in one object that travels in a workflow's input and through continue-as-new.
 * Workflows never read it from the environment: a replay must see the values of the first run. All values are milliseconds.
 */
export interface Timing {
  readonly name: 'normal' | 'test';
  /** A short activity's budget for one attempt. */
  readonly stepTimeout: number;
  /** How long an activity that heartbeats may be silent before another worker takes over. */
  readonly heartbeatTimeout: number;
  /** How often such an activity heartbeats, from a timer. */
  readonly heartbeatEvery: number;
  /** Backoff of a retried activity: first wait and longest wait. */
  readonly retryFirst: number;
  readonly retryMax: number;
  /** How long one placement may take from the create call to machines that run. */
  readonly createBudget: number;
  /** How long a machine that runs may take until its agent answers. */
  readonly bootstrapBudget: number;
  /** How long one try to connect to it may take, where that was configured. */
  readonly connectTimeout?: number;
  /** Pause between rounds of a launch with --retry-until-up: first and longest. */
  readonly retryUntilUpFirst: number;
  readonly retryUntilUpMax: number;
  /** Pause between looks at machines that are changing state. */
  readonly pollEvery: number;
  /** While operations are open, their workflows are described this often, in case one closed without a word. */
  readonly describeOpsEvery: number;
  /** The longest one watch activity runs before it hands over to a new one, so that deploys roll over. */
  readonly watchLease: number;
  /** How often a watch tells the agents that they are not alone. */
  readonly contactEvery: number;
  /** Without contact for this long an agent applies the rule of its lease by itself. */
  readonly contactLost: number;
  /** Dead-man's switch of a cluster without autostop. */
  readonly deadman: number;
  /** A node that cannot be reached for this long is shown as such, and the cloud is asked about it. */
  readonly unreachableAfter: number;
  /** SIGTERM to SIGKILL for a cancelled job. */
  readonly killGrace: number;
  /** Events after which an entity continues as new at the next quiet moment (the server suggests it at 4,096). */
  readonly historyEvents: number;
  /** A minute of an autostop rule. Tests shorten it. */
  readonly idleMinute: number;
  /** What is younger is never taken for nobody's. */
  readonly sweepMinAge: number;
  /** How long a receiver of notifications is tried after what it is to be told of; absent: NOTICES_MS. */
  readonly noticesFor?: number;
  /** Between the two looks that prove that a thing is nobody's. */
  readonly sweepConfirm: number;
}

/** Within that a receiver that is away comes back, or nobody misses it. */
export const NOTICES_MS = 60 * 60_000;

export const NORMAL: Timing = {
  name: 'normal',
  stepTimeout: 30_000,
  heartbeatTimeout: 15_000,
  heartbeatEvery: 4_000,
  retryFirst: 500,
  retryMax: 30_000,
  createBudget: 15 * 60_000,
  bootstrapBudget: 10 * 60_000,
  retryUntilUpFirst: 30_000,
  retryUntilUpMax: 5 * 60_000,
  pollEvery: 2_000,
  describeOpsEvery: 10 * 60_000,
  watchLease: 60 * 60_000,
  contactEvery: 10_000,
  contactLost: 2 * 60_000,
  deadman: 24 * 60 * 60_000,
  unreachableAfter: 30_000,
  killGrace: 10_000,
  historyEvents: 500,
  idleMinute: 60_000,
  sweepMinAge: 60 * 60_000,
  sweepConfirm: 10 * 60_000,
};

/** Images of containers are large: fetching one has three times as long as connecting alone. */
export function bootstrapBudget(input: { readonly timing: Timing; readonly container?: unknown }): number {
  return input.timing.bootstrapBudget * (input.container === undefined ? 1 : 3);
}

/** The same life, faster: work goes on at most 3 s after a killed worker is back. */
export const TEST: Timing = {
  name: 'test',
  stepTimeout: 5_000,
  heartbeatTimeout: 2_000,
  heartbeatEvery: 500,
  retryFirst: 100,
  retryMax: 1_000,
  createBudget: 60_000,
  bootstrapBudget: 60_000,
  retryUntilUpFirst: 300,
  retryUntilUpMax: 1_000,
  pollEvery: 100,
  describeOpsEvery: 5_000,
  watchLease: 60_000,
  contactEvery: 500,
  contactLost: 3_000,
  deadman: 60 * 60_000,
  unreachableAfter: 2_000,
  killGrace: 1_000,
  historyEvents: 500,
  idleMinute: 1_000,
  sweepMinAge: 1_000,
  sweepConfirm: 1_500,
  noticesFor: 15_000,
};
