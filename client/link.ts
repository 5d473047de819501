/** The connection to Temporal of one client: made on first use, and made anew when the server comes back at another address. */
import { Connection, WorkflowClient } from '@temporalio/client';
import { StyxError } from '../model/errors.ts';
import type { ConnectConfig } from '../workers/connection.ts';
import { isConnectionLoss, toStyxError } from './errors.ts';
import { type RepeatOptions, repeat } from './repeat.ts';

interface Open {
  readonly address: string;
  readonly connection: Connection;
  readonly workflow: WorkflowClient;
}

export class Link {
  readonly #resolve: () => Promise<ConnectConfig>;
  #open: Open;
  #installation: string | undefined;
  #closed = false;

  private constructor(resolve: () => Promise<ConnectConfig>, open: Open) {
    this.#resolve = resolve;
    this.#open = open;
  }

  static async open(resolve: () => Promise<ConnectConfig>): Promise<Link> {
    return new Link(resolve, connectTo(await resolve()));
  }

  get namespace(): string {
    return this.#open.workflow.options.namespace;
  }

  get address(): string {
    return this.#open.address;
  }

  /** One call that must answer before `deadline` (milliseconds since the epoch). Errors are Temporal's own. */
  async call<T>(deadline: number, fn: (workflow: WorkflowClient) => Promise<T>): Promise<T> {
    if (this.#closed) throw new StyxError('invalid', 'this client is closed');
    const { workflow } = this.#open;
    try {
      return await workflow.withDeadline(deadline, () => fn(workflow));
    } catch (error) {
      if (isConnectionLoss(error)) await this.#reconsider();
      throw error;
    }
  }

  /** A call that changes nothing, repeated while the server or its worker is away. @throws StyxError */
  async read<T>(fn: (workflow: WorkflowClient) => Promise<T>, options: RepeatOptions = {}): Promise<T> {
    return await repeat((deadline) => this.call(deadline, fn), { budget: 30_000, ...options });
  }

  /** The namespace's UUID. */
  async installation(): Promise<string> {
    if (this.#installation === undefined) {
      const { namespace } = this;
      const answer = await this.read((workflow) => workflow.workflowService.describeNamespace({ namespace }));
      const id = answer.namespaceInfo?.id;
      if (!id) throw new StyxError('internal', `namespace ${namespace} has no id`);
      this.#installation = id;
    }
    return this.#installation;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#open.connection.close();
  }

  async #reconsider(): Promise<void> {
    const before = this.#open;
    const config = await this.#resolve().catch(() => null);
    if (config === null || this.#closed || this.#open !== before) return;
    if (config.connectionOptions.address === before.address) return;
    this.#open = connectTo(config);
    await before.connection.close().catch(() => undefined);
  }
}

function connectTo(config: ConnectConfig): Open {
  const { address, apiKey, tls, metadata } = config.connectionOptions;
  try {
    const connection = Connection.lazy({
      address,
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(tls === undefined ? {} : { tls }),
      ...(metadata === undefined ? {} : { metadata }),
      connectTimeout: 5_000,
      // None of the SDK's that retry: `repeat` does, and theirs throw past everybody when the connection was closed meanwhile.
      interceptors: [],
      channelArgs: { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 1_000 },
    });
    return { address, connection, workflow: new WorkflowClient({ connection, namespace: config.namespace }) };
  } catch (error) {
    throw toStyxError(error);
  }
}
