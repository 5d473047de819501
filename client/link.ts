/** The connection to Temporal of one client: made on first use, and made anew when the server comes back at another address. */
import { Connection, type ConnectionOptions, ScheduleClient, WorkflowClient } from '@temporalio/client';
import type { LoadedDataConverter } from '@temporalio/common';
import { StyxError } from '../model/errors.ts';
import { Keyring } from '../system/keyring.ts';
import type { ConnectConfig } from '../workers/connection.ts';
import { sealedClient } from '../workers/sealing.ts';
import type { TemporalCall } from './calls.ts';
import { isConnectionLoss, toStyxError } from './errors.ts';
import { type RepeatOptions, repeat } from './repeat.ts';

type Interceptors = NonNullable<ConnectionOptions['interceptors']>;

interface Open {
  readonly address: string;
  readonly connection: Connection;
  readonly workflow: WorkflowClient;
  /** For what is read of many workflows at once: what is not ours is marked there and is no error. */
  readonly lists: WorkflowClient;
  readonly schedules: ScheduleClient;
  /** Nothing that is not sealed is taken. */
  readonly strict: boolean;
}

export class Link {
  readonly #resolve: () => Promise<ConnectConfig>;
  readonly #home: string;
  /** The keys of this data directory. */
  readonly keyring: Keyring;
  /** None of the SDK's that retry: `repeat` does, and theirs throw past everybody when the connection was closed meanwhile. */
  readonly #interceptors: Interceptors;
  #open: Open;
  #installation: string | undefined;
  #closed = false;

  private constructor(resolve: () => Promise<ConnectConfig>, home: string, open: Open, interceptors: Interceptors) {
    this.#resolve = resolve;
    this.#interceptors = interceptors;
    this.#home = home;
    this.keyring = new Keyring(home);
    this.#open = open;
  }

  /** `home` has the keys that payloads are sealed with. */
  static async open(
    resolve: () => Promise<ConnectConfig>,
    home: string,
    onCall?: (call: TemporalCall) => void,
  ): Promise<Link> {
    const interceptors = onCall === undefined ? [] : [(await import('./calls.ts')).tellingCalls(onCall)];
    return new Link(resolve, home, connectTo(await resolve(), home, interceptors), interceptors);
  }

  get namespace(): string {
    return this.#open.workflow.options.namespace;
  }

  get address(): string {
    return this.#open.address;
  }

  /** Opens payloads of histories; what is not ours is a mark. */
  get converter(): LoadedDataConverter {
    return this.#open.lists.options.loadedDataConverter;
  }

  /** One call that must answer before `deadline` (milliseconds since the epoch). Errors are Temporal's own. */
  async call<T>(deadline: number, fn: (workflow: WorkflowClient) => Promise<T>): Promise<T> {
    return await this.#with(this.#open.workflow, deadline, fn);
  }

  /**
   * A call that changes nothing, repeated while the server or its worker is away. In what it reads of memos, what is not ours is a
   * mark of `model/envelope.ts`. @throws StyxError
   */
  async read<T>(fn: (workflow: WorkflowClient) => Promise<T>, options: RepeatOptions = {}): Promise<T> {
    const attempt = (deadline: number) => this.#with(this.#open.lists, deadline, fn);
    return await repeat(attempt, { budget: 30_000, ...options });
  }

  async #with<T>(workflow: WorkflowClient, deadline: number, fn: (workflow: WorkflowClient) => Promise<T>): Promise<T> {
    if (this.#closed) throw new StyxError('invalid', 'this client is closed');
    try {
      return await workflow.withDeadline(deadline, () => fn(workflow));
    } catch (error) {
      if (isConnectionLoss(error)) await this.#reconsider();
      throw error;
    }
  }

  /**
   * A call on schedules that can be made twice, repeated while the server is away. `strict` is what the starts that they make
   * have to say. @throws StyxError
   */
  async schedules<T>(fn: (schedules: ScheduleClient, strict: boolean) => Promise<T>): Promise<T> {
    const attempt = async (deadline: number) => {
      const { schedules, strict } = this.#open;
      try {
        return await schedules.withDeadline(deadline, () => fn(schedules, strict));
      } catch (error) {
        if (isConnectionLoss(error)) await this.#reconsider();
        throw error;
      }
    };
    return await repeat(attempt, { budget: 30_000 });
  }

  /** The namespace's UUID. `anew`: as the server says it now, which may be another one than at first. */
  async installation({ anew = false } = {}): Promise<string> {
    if (this.#installation === undefined || anew) {
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
    this.#open = connectTo(config, this.#home, this.#interceptors);
    await before.connection.close().catch(() => undefined);
  }
}

function connectTo(config: ConnectConfig, home: string, interceptors: Interceptors): Open {
  const { address, apiKey, tls, metadata } = config.connectionOptions;
  try {
    const connection = Connection.lazy({
      address,
      ...(apiKey === undefined ? {} : { apiKey }),
      ...(tls === undefined ? {} : { tls }),
      ...(metadata === undefined ? {} : { metadata }),
      connectTimeout: 5_000,
      interceptors,
      channelArgs: { 'grpc.initial_reconnect_backoff_ms': 100, 'grpc.max_reconnect_backoff_ms': 1_000 },
    });
    const { namespace, codec } = config;
    return {
      address,
      connection,
      workflow: new WorkflowClient({ connection, namespace, ...sealedClient(home, codec) }),
      schedules: new ScheduleClient({ connection, namespace, dataConverter: sealedClient(home, codec).dataConverter }),
      strict: codec === 'required',
      lists: new WorkflowClient({ connection, namespace, ...sealedClient(home, codec, 'mark') }),
    };
  } catch (error) {
    throw toStyxError(error);
  }
}
