/** Whoever can connect to the Temporal server and has no key: speaks plain gRPC, and reads what everybody can read there. */
import { randomUUID } from 'node:crypto';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import type { ClusterView } from '../../model/commands.ts';
import { parseTask } from '../../model/parse-task.ts';
import { CLUSTER_QUEUE } from '../../model/queues.ts';
import { TEST } from '../../model/timing.ts';
import type { JobInput } from '../../workflows/job.ts';

export type Payload = temporal.api.common.v1.IPayload;

export class Stranger {
  readonly client: Client;

  private constructor(client: Client) {
    this.client = client;
  }

  static async at(address: string): Promise<Stranger> {
    return new Stranger(new Client({ connection: await Connection.connect({ address }) }));
  }

  handle(workflowId: string): WorkflowHandle {
    return this.client.workflow.getHandle(workflowId);
  }

  /** A signal with these bytes, whatever they are. */
  async signal(workflowId: string, signalName: string, payloads: readonly Payload[] = []): Promise<void> {
    await this.client.workflowService.signalWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId },
      signalName,
      input: { payloads: [...payloads] },
      requestId: randomUUID(),
      identity: 'stranger',
    });
  }

  /** Answers the outcome: a failure when it was refused. */
  async update(workflowId: string, name: string, payloads: readonly Payload[] = []) {
    const { outcome } = await this.client.workflowService.updateWorkflowExecution({
      namespace: 'default',
      workflowExecution: { workflowId },
      waitPolicy: { lifecycleStage: 3 },
      request: {
        meta: { updateId: randomUUID(), identity: 'stranger' },
        input: { name, args: { payloads: [...payloads] } },
      },
    });
    return outcome;
  }

  /** Starts a workflow with these bytes as its input. */
  async start(workflowId: string, type: string, payloads: readonly Payload[] = []): Promise<void> {
    await this.client.workflowService.startWorkflowExecution({
      namespace: 'default',
      workflowId,
      workflowType: { name: type },
      taskQueue: { name: CLUSTER_QUEUE },
      input: { payloads: [...payloads] },
      requestId: randomUUID(),
      identity: 'stranger',
    });
  }

  /** Takes a step of this type from the queue, and says that it is done. */
  async completeNext(queue: string, type: string): Promise<void> {
    const { connection, workflowService } = this.client;
    const request = { namespace: 'default', taskQueue: { name: queue } };
    const poll = () => workflowService.pollActivityTaskQueue(request);
    for (;;) {
      const { taskToken, activityType } = await connection.withDeadline(Date.now() + 70_000, poll);
      if (activityType?.name !== type) continue;
      await workflowService.respondActivityTaskCompleted({ namespace: 'default', taskToken });
      return;
    }
  }

  /** How a workflow ended, by the server's word. */
  async ending(workflowId: string): Promise<string> {
    for (;;) {
      const { status } = await this.handle(workflowId).describe();
      if (status.name !== 'RUNNING') return status.name;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Payloads that the updates of a workflow arrived with, by update name, as its history has them. */
  async updatesOf(workflowId: string): Promise<Map<string, Payload[]>> {
    const { events } = await this.handle(workflowId).fetchHistory();
    const found = new Map<string, Payload[]>();
    for (const event of events ?? []) {
      const input = event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.input;
      if (input?.name) found.set(input.name, input.args?.payloads ?? []);
    }
    return found;
  }

  /** The same for signals. */
  async signalsOf(workflowId: string): Promise<Map<string, Payload[]>> {
    const { events } = await this.handle(workflowId).fetchHistory();
    const signals = (events ?? []).map((event) => event.workflowExecutionSignaledEventAttributes);
    return new Map(signals.flatMap((it) => (it?.signalName ? [[it.signalName, it.input?.payloads ?? []]] : [])));
  }

  close(): Promise<void> {
    return this.client.connection.close();
  }
}

/** What starts a script on a cluster that stands, when it is believed. */
export function jobInput(view: ClusterView, script: string): JobInput {
  const { workspace, name, generation } = view;
  const workflowId = `cluster/${workspace}/${name}`;
  return {
    version: 1,
    cluster: { workflowId, workspace, name, generation },
    jobId: 7_000 + Math.floor(Math.random() * 1_000_000),
    taskId: 'stranger',
    user: 'stranger',
    task: { ...parseTask("run: 'true'", { file: 'test.yaml' }), secrets: {}, run: script },
    withSetup: false,
    run: {
      allotment: { nodes: [0], gpus: [[]] },
      nodes: view.nodes,
      clusterInfo: { cloud: 'local', region: 'local', zone: 'local-a' },
    },
    timing: TEST,
  };
}

export const json = (value: unknown): Payload => ({
  metadata: { encoding: Buffer.from('json/plain') },
  data: Buffer.from(JSON.stringify(value)),
});
