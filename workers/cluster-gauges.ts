/** How many clusters there are and what they cost in an hour, by state: from the lists of Temporal, which need no worker. */
import type { Client } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { Runtime } from '@temporalio/worker';
import { DISPLAY_STATUSES } from '../model/cluster.ts';
import { SEARCH } from '../model/commands.ts';
import { METRICS } from '../model/metrics.ts';

/** Asked at most so often, whoever scrapes how often. */
const FRESH_MS = 15_000;
const ASK_MS = 5_000;
const PAGE = 1_000;
const QUERY = `${SEARCH.kind} = 'cluster' AND ExecutionStatus = 'Running'`;

interface Sum {
  clusters: number;
  dollars: number;
}

export class ClusterGauges {
  readonly #client: Client;
  readonly #set: (sums: ReadonlyMap<string, Sum> | null) => void;
  #askedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | null = null;

  constructor(client: Client) {
    this.#client = client;
    this.#set = gauges();
  }

  /** Never fails: what cannot be known stays as it was, and `styx_temporal_up` says so. */
  refresh(): Promise<void> {
    if (performance.now() - this.#askedAt < FRESH_MS) return Promise.resolve();
    this.#asking ??= this.#ask()
      .then(this.#set, () => this.#set(null))
      .finally(() => {
        this.#asking = null;
        this.#askedAt = performance.now();
      });
    return this.#asking;
  }

  async #ask(): Promise<Map<string, Sum>> {
    const sums = new Map<string, Sum>(DISPLAY_STATUSES.map((status) => [status, { clusters: 0, dollars: 0 }]));
    const { workflowService: service, options } = this.#client.workflow;
    const { namespace } = options;
    let nextPageToken: Uint8Array | undefined;
    do {
      const page = { namespace, query: QUERY, pageSize: PAGE, ...(nextPageToken && { nextPageToken }) };
      const answer = await this.#client.connection.withDeadline(Date.now() + ASK_MS, () =>
        service.listWorkflowExecutions(page),
      );
      for (const { searchAttributes } of answer.executions ?? []) {
        const value = (name: string): unknown => {
          const payload = searchAttributes?.indexedFields?.[name];
          const read: unknown = payload == null ? undefined : defaultPayloadConverter.fromPayload(payload);
          return Array.isArray(read) ? read[0] : read;
        };
        const sum = sums.get(String(value(SEARCH.status)));
        if (sum === undefined) continue;
        sum.clusters += 1;
        sum.dollars += Number(value(SEARCH.hourlyCost) ?? 0);
      }
      nextPageToken = answer.nextPageToken?.length ? answer.nextPageToken : undefined;
    } while (nextPageToken !== undefined);
    return sums;
  }
}

function gauges(): (sums: ReadonlyMap<string, Sum> | null) => void {
  const meter = Runtime.instance().metricMeter;
  const { clusters, hourlyCost, serverUp } = METRICS;
  const count = meter.createGauge(clusters.name, 'int', '', clusters.help);
  const cost = meter.createGauge(hourlyCost.name, 'float', '', hourlyCost.help);
  const up = meter.createGauge(serverUp.name, 'int', '', serverUp.help);
  return (sums) => {
    up.set(sums === null ? 0 : 1);
    for (const [status, sum] of sums ?? []) {
      count.set(sum.clusters, { status });
      cost.set(sum.dollars, { status });
    }
  };
}
