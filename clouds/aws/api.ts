/** The one way in which AWS is called: actions of the list only, within its rates, and failures as StyxErrors. */
import { setTimeout as sleep } from 'node:timers/promises';
import { StyxError } from '../../model/errors.ts';
import { type Action, type Calls, isAction } from './actions.ts';
import { Credentials } from './credentials.ts';
import { classify } from './errors.ts';
import { Limiter } from './limiter.ts';

const DEFAULT_REGION = 'us-east-1';
/** Tries of one call; a step that fails is tried again by its workflow. */
const TRIES = 4;
const FIRST_PAUSE_MS = 100;
const REQUEST_MS = 20_000;

/** Half of what an account without history gets (docs.aws.amazon.com/ec2/latest/devguide/ec2-api-throttling.html): others use it too. */
const READING = { burst: 50, perSecond: 10 };
const CHANGING = { burst: 25, perSecond: 2.5 };

interface AnyClient {
  send(command: never): Promise<unknown>;
}
type Services = 'ec2' | 'ssm' | 'sts' | 'servicequotas';

export class Api {
  readonly #credentials = new Credentials();
  readonly #clients = new Map<string, Promise<AnyClient>>();
  readonly #reading = new Limiter(READING);
  readonly #changing = new Limiter(CHANGING);
  readonly #env: NodeJS.ProcessEnv;
  #region: Promise<string> | undefined;

  constructor(env: NodeJS.ProcessEnv) {
    this.#env = env;
  }

  /** @throws StyxError; `not-found` and the like as AWS says it */
  async call<A extends Action>(region: string, action: A, input: Calls[A][0]): Promise<Calls[A][1]> {
    if (!isAction(action)) throw new StyxError('internal', `${action} is not in the list of what Styx asks of AWS`);
    const limiter = /:(Describe|Get)/.test(action) ? this.#reading : this.#changing;
    const bucket = `${region} ${action}`;
    for (let tried = 1; ; tried++) {
      await limiter.take(bucket);
      try {
        return (await this.#send(region, action, input)) as Calls[A][1];
      } catch (error) {
        const failure = classify(error);
        if (failure.kind === 'auth') this.#credentials.forget();
        if (failure.kind === 'throttled') limiter.drained(bucket);
        if (tried >= TRIES || !(isWorthRepeating(failure) || (tried === 1 && clockWasCorrected(error)))) throw failure;
        await sleep(FIRST_PAUSE_MS * 2 ** tried * (0.5 + Math.random() / 2));
      }
    }
  }

  /** All pages of an answer. */
  async all<A extends Action, Item>(
    region: string,
    action: A,
    input: Calls[A][0],
    items: (answer: Calls[A][1]) => readonly Item[] | undefined,
  ): Promise<Item[]> {
    const found: Item[] = [];
    let next: string | undefined;
    do {
      const page = next === undefined ? input : { ...input, NextToken: next };
      const answer = await this.call(region, action, page);
      found.push(...(items(answer) ?? []));
      next = (answer as { NextToken?: string }).NextToken || undefined;
    } while (next !== undefined);
    return found;
  }

  /** Where questions go that are about no region: the user's own, else the oldest one. */
  async homeRegion(): Promise<string> {
    this.#region ??= this.#configuredRegion();
    return await this.#region;
  }

  async #configuredRegion(): Promise<string> {
    const given = this.#env.AWS_REGION || this.#env.AWS_DEFAULT_REGION;
    if (given) return given;
    try {
      const { STSClient } = await import('@aws-sdk/client-sts');
      return await new STSClient({}).config.region();
    } catch {
      return DEFAULT_REGION;
    }
  }

  async #send(region: string, action: Action, input: object): Promise<unknown> {
    const [service, name] = action.split(':') as [Services, string];
    const { module } = await load(service);
    const Command = (module as unknown as Record<string, new (input: object) => never>)[`${name}Command`];
    if (Command === undefined) throw new StyxError('internal', `the SDK has no ${action}`);
    return await (await this.#client(service, region)).send(new Command(input));
  }

  #client(service: Services, region: string): Promise<AnyClient> {
    const key = `${service} ${region}`;
    const known = this.#clients.get(key);
    if (known !== undefined) return known;
    const made = load(service).then(({ Client }) => {
      const handler = { connectionTimeout: 5_000, requestTimeout: REQUEST_MS, throwOnRequestTimeout: true };
      // Not the SDK's own tries: it repeats what says that there is no capacity, since EC2 says it as an internal error.
      return new Client({ region, maxAttempts: 1, credentials: this.#credentials.provider, requestHandler: handler });
    });
    this.#clients.set(key, made);
    made.catch(() => this.#clients.delete(key));
    return made;
  }
}

async function load(service: Services): Promise<{ module: object; Client: new (config: object) => AnyClient }> {
  switch (service) {
    case 'ec2': {
      const module = await import('@aws-sdk/client-ec2');
      return { module, Client: module.EC2Client as never };
    }
    case 'ssm': {
      const module = await import('@aws-sdk/client-ssm');
      return { module, Client: module.SSMClient as never };
    }
    case 'sts': {
      const module = await import('@aws-sdk/client-sts');
      return { module, Client: module.STSClient as never };
    }
    case 'servicequotas': {
      const module = await import('@aws-sdk/client-service-quotas');
      return { module, Client: module.ServiceQuotasClient as never };
    }
  }
}

/** What answers differently in a moment, of itself. What another call must change first is for the caller. */
function isWorthRepeating({ kind, message }: StyxError): boolean {
  return (
    kind === 'throttled' || (kind === 'transient' && !/InUse|DependencyViolation|Incorrect|Duplicate/.test(message))
  );
}

/** The SDK takes the time from the answer of a refusal: the next call is signed with it. */
function clockWasCorrected(error: unknown): boolean {
  return (error as { $metadata?: { clockSkewCorrected?: boolean } } | null)?.$metadata?.clockSkewCorrected === true;
}
