/** AWS: machines are instances of EC2, all of a placement made by one call whose token is the placement's key. */
import type { Instance as Ec2Instance } from '@aws-sdk/client-ec2';
import { StyxError } from '../../model/errors.ts';
import {
  type Instance,
  type InstanceTypeOffer,
  instanceEnding,
  type Placement,
  type PowerOff,
  type ResourceRequest,
} from '../../model/machines.ts';
import { hostKey } from '../../nodes/keys.ts';
import { styxHome } from '../../system/home.ts';
import { installationSecret } from '../../system/secret.ts';
import type { Capabilities, Cloud, CloudCheck, CreateRequest, InstanceFilter, OpenedTargets } from '../cloud.ts';
import { policyDocument } from './actions.ts';
import { Api } from './api.ts';
import { identityOf, missingRights } from './check.ts';
import { hasCredentials } from './credentials.ts';
import { classify } from './errors.ts';
import { findImage, imageParameters } from './images.ts';
import { filtersOf, type Resolved, resolvedOf, runRequest, tagList, viewOf } from './instances.ts';
import { Looks } from './looks.ts';
import { causeCode, ensureGroup, findSubnet } from './network.ts';
import { Offers, shapeOf } from './offers.ts';
import { Quotas } from './quotas.ts';
import { removeAll } from './removal.ts';
import { awsSettings } from './settings.ts';
import { INSTANCE_ID_FILE, userData } from './user-data.ts';

/** GiB, as SkyPilot has it. */
const DISK_GIB = 256;
const SPOT_STOP = 'spot machines of AWS cannot be stopped, only ended';
const NO_TARGETS = 'on AWS files go below the home directory in this version of Styx';
const NO_CREDENTIALS = new StyxError('auth', 'there are no credentials of AWS here', {
  hint: 'Run `aws configure` or `aws sso login`, or set AWS_PROFILE; then `styx check aws`.',
});

const CAPABILITIES: Capabilities = {
  stop: true,
  stopSpot: SPOT_STOP,
  spot: true,
  multiNode: true,
  openPorts: 'ports are not opened on AWS by this version of Styx; use `ssh -L`',
  absoluteTargets: NO_TARGETS,
  hostKeysKnown: true,
};

export interface AwsOptions {
  /** Data directory of Styx: the secret and the configuration. */
  readonly home?: string;
  readonly environment?: NodeJS.ProcessEnv;
  /** Milliseconds between looks at the machines of a region, for all who ask. */
  readonly lookEvery?: number;
  /** Milliseconds for which nothing must be seen of a placement before that proves anything: listings lag. */
  readonly settle?: number;
}

type Place = Pick<Placement, 'region' | 'zone'>;

export class AwsCloud implements Cloud {
  readonly name = 'aws';
  readonly #home: string;
  readonly #environment: NodeJS.ProcessEnv;
  readonly #settle: number;
  readonly #api: Api;
  readonly #offers: Offers;
  readonly #looks: Looks;
  readonly #quotas: Quotas;
  /** Placements of which nothing was seen, and since when. */
  readonly #unseen = new Map<string, number>();

  constructor({ home = styxHome(), environment = process.env, lookEvery = 1_000, settle = 10_000 }: AwsOptions = {}) {
    this.#home = home;
    this.#environment = environment;
    this.#settle = settle;
    this.#api = new Api(environment);
    this.#offers = new Offers(this.#api, home);
    this.#looks = new Looks(this.#api, lookEvery);
    this.#quotas = new Quotas(this.#api);
  }

  async capabilities(): Promise<Capabilities> {
    return CAPABILITIES;
  }

  async check(): Promise<CloudCheck> {
    if (!hasCredentials(this.#environment)) throw NO_CREDENTIALS;
    const { account, arn } = await identityOf(this.#api);
    const missing = await missingRights(this.#api);
    const problems =
      missing.length === 0
        ? []
        : [
            `These rights are missing: ${missing.join(', ')}. \`styx check aws --policy\` prints the policy that Styx needs.`,
          ];
    return { ok: missing.length === 0, identity: arn, account, problems, capabilities: CAPABILITIES };
  }

  async policy(): Promise<string> {
    return JSON.stringify(policyDocument(), null, 2);
  }

  async offers(request: ResourceRequest): Promise<InstanceTypeOffer[]> {
    if (request.cloud !== null && request.cloud !== this.name) return [];
    if (!hasCredentials(this.#environment)) {
      // Who did not ask for AWS need not have an account there.
      if (request.cloud === null) return [];
      throw NO_CREDENTIALS;
    }
    return await this.#offers.find(request);
  }

  async prepare(
    placement: Placement,
    authorizedKey: string,
    tags: Readonly<Record<string, string>>,
  ): Promise<CreateRequest> {
    const { region, key, numNodes, instanceType, accelerators } = placement;
    await this.#quotas.mustAllow(placement);
    const settings = await awsSettings(this.#home);
    const shape = await shapeOf(instanceType, this.#home);
    const parameters = imageParameters(shape?.arch ?? null, accelerators?.name ?? shape?.accelerators?.name ?? null);
    const [image, subnet] = await Promise.all([
      findImage(this.#api, region, parameters),
      findSubnet(this.#api, placement, settings, numNodes),
    ]);
    // Made here and not by `create`: a create call that comes after the end of its placement must not find one.
    const group = await ensureGroup(this.#api, region, subnet.vpc, key, tagList(tags, key));
    const resolved: Resolved = {
      image: image.id,
      rootDevice: image.rootDevice,
      diskSize: Math.max(DISK_GIB, image.minimum),
      diskEncrypted: settings.diskEncrypted,
      subnet: subnet.id,
      group,
      internal: settings.useInternalIps,
    };
    return { placement, authorizedKey: authorizedKey.trim(), tags, resolved };
  }

  async create(request: CreateRequest): Promise<Instance[]> {
    const { placement } = request;
    const over = new StyxError('not-found', `placement ${placement.key} is over: its machines were ended`);
    const made = await this.#run(request, over);
    if (made.length === 0 || made.some(({ state }) => instanceEnding(state))) throw over;
    return made.toSorted((a, b) => a.index - b.index);
  }

  async list(place: Pick<Placement, 'region' | 'zone'>, filter: InstanceFilter): Promise<Instance[]> {
    const { placementKey, ids, tags } = filter;
    if (ids?.length === 0) return [];
    const found =
      placementKey !== undefined && ids === undefined && tags === undefined
        ? await this.#looks.at(place.region, placementKey)
        : await this.#ask(place, filter);
    return found
      .map((one) => this.#view(one))
      .sort((a, b) => a.createdAt - b.createdAt || a.placementKey.localeCompare(b.placementKey) || a.index - b.index);
  }

  async stop(place: Place, ids: readonly string[]): Promise<void> {
    const there = (await this.#ask(place, { ids })).filter(
      ({ State }) => State?.Name === 'running' || State?.Name === 'pending',
    );
    if (there.some(({ InstanceLifecycle }) => InstanceLifecycle === 'spot')) throw new StyxError('invalid', SPOT_STOP);
    if (there.length === 0) return;
    await this.#api.call(place.region, 'ec2:StopInstances', { InstanceIds: idsOf(there) });
  }

  async start(place: Place, ids: readonly string[]): Promise<void> {
    if (ids.length === 0) return;
    await this.#api.call(place.region, 'ec2:StartInstances', { InstanceIds: [...ids] });
  }

  async terminate(place: Place, placementKey: string): Promise<string[]> {
    const { seen, left } = await removeAll(this.#api, place.region, placementKey);
    if (seen || left.length > 0) {
      this.#unseen.delete(placementKey);
      return [...left];
    }
    // Nothing was seen. A create call may have been answered a moment ago, with a listing that does not show it yet.
    const now = Date.now();
    const since = this.#unseen.get(placementKey) ?? now;
    for (const [key, at] of this.#unseen) if (now - at > 100 * this.#settle) this.#unseen.delete(key);
    this.#unseen.set(placementKey, since);
    return now - since >= this.#settle ? [] : ['what no listing shows yet'];
  }

  async openTargets(): Promise<OpenedTargets> {
    throw new StyxError('invalid', NO_TARGETS);
  }

  async armPowerOff({ region }: Place, ids: readonly string[], action: 'stop' | 'terminate'): Promise<void> {
    await Promise.all(
      ids.map((InstanceId) =>
        this.#api.call(region, 'ec2:ModifyInstanceAttribute', {
          InstanceId,
          InstanceInitiatedShutdownBehavior: { Value: action },
        }),
      ),
    );
  }

  powerOff(instance: Instance, action: 'stop' | 'terminate'): PowerOff {
    return {
      action,
      command: ['sudo', '-n', 'shutdown', '-h', 'now'],
      identity: { path: INSTANCE_ID_FILE, text: instance.id },
    };
  }

  classify(error: unknown): StyxError {
    return classify(error);
  }

  async #run(request: CreateRequest, over: StyxError): Promise<Instance[]> {
    const { placement, authorizedKey } = request;
    const text = userData(authorizedKey, hostKey(this.#secret(), placement.key));
    try {
      const input = runRequest(request, resolvedOf(request), text);
      const { Instances } = await this.#api.call(placement.region, 'ec2:RunInstances', input);
      return (Instances ?? []).map((one) => this.#view(one));
    } catch (error) {
      const code = causeCode(error);
      // The group is deleted when a placement ends, and the token of ended machines is remembered.
      if (code === 'IdempotentInstanceTerminated' || code === 'InvalidGroup.NotFound') throw over;
      if (code === 'IdempotentParameterMismatch') return await this.#adopted(placement, over);
      throw this.#quotas.explained(classify(error), placement);
    }
  }

  /** The token was used with another request, such as one of another version of Styx: what it made is this placement's. */
  async #adopted({ region, zone, key, numNodes }: Placement, over: StyxError): Promise<Instance[]> {
    const there = await this.list({ region, zone }, { placementKey: key });
    if (there.some(({ state }) => instanceEnding(state))) throw over;
    if (there.length === numNodes) return there;
    throw new StyxError('transient', `the machines of placement ${key} were made and are not listed yet`);
  }

  #ask({ region }: Place, filter: InstanceFilter): Promise<Ec2Instance[]> {
    return this.#api.all(region, 'ec2:DescribeInstances', { Filters: filtersOf(filter) }, (answer) =>
      answer.Reservations?.flatMap(({ Instances }) => Instances ?? []),
    );
  }

  #view(one: Ec2Instance): Instance {
    return viewOf(one, (placementKey) => hostKey(this.#secret(), placementKey).publicKey);
  }

  #secret(): Buffer {
    return Buffer.from(installationSecret(this.#home));
  }
}

function idsOf(instances: readonly Ec2Instance[]): string[] {
  return instances.flatMap(({ InstanceId }) => InstanceId ?? []);
}
