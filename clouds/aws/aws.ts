/** AWS as a cloud. Small: whoever has no account there loads and asks nothing more. */
import type { CloudResource } from '../../model/cloud-resource.ts';
import { StyxError } from '../../model/errors.ts';
import type { NoticeSource } from '../../model/machine-notices.ts';
import type { MachineWants } from '../../model/machine-wants.ts';
import type { Instance, InstanceTypeOffer, Placement, PowerOff, ResourceRequest } from '../../model/machines.ts';
import { styxHome } from '../../system/home.ts';
import type { Capabilities, Cloud, CloudCheck, CreateRequest, InstanceFilter, OpenedTargets } from '../cloud.ts';
import { type AwsOptions, CAPABILITIES, NO_TARGETS } from './capabilities.ts';
import { hasCredentials } from './credentials.ts';
import type { Ec2 } from './ec2.ts';
import { classify } from './errors.ts';
import { SPOT_NOTICES } from './notices.ts';
import { INSTANCE_ID_FILE } from './user-data.ts';

type Place = Pick<Placement, 'region' | 'zone'>;

export class AwsCloud implements Cloud {
  readonly name = 'aws';
  readonly isShared = true;
  readonly #options: Required<AwsOptions>;
  #ec2: Promise<Ec2> | undefined;

  constructor({ home = styxHome(), environment = process.env, lookEvery = 1_000, settle = 10_000 }: AwsOptions = {}) {
    this.#options = { home, environment, lookEvery, settle };
  }

  async capabilities(): Promise<Capabilities> {
    return CAPABILITIES;
  }

  async check(): Promise<CloudCheck> {
    if (!hasCredentials(this.#options.environment)) throw noCredentials();
    const { identity, account, missing } = await (await this.#loaded()).check();
    const rights = `These rights are missing: ${missing.join(', ')}. \`styx check aws --policy\` prints all that are needed.`;
    return {
      ok: missing.length === 0,
      identity,
      account,
      problems: missing.length === 0 ? [] : [rights],
      capabilities: CAPABILITIES,
    };
  }

  async policy(): Promise<string> {
    const { policyDocument } = await import('./actions.ts');
    const { awsSettings, profilesOf } = await import('./settings.ts');
    const { remoteIdentity } = await awsSettings(this.#options.home);
    return JSON.stringify(policyDocument(profilesOf(remoteIdentity)), null, 2);
  }

  async offers(request: ResourceRequest): Promise<InstanceTypeOffer[]> {
    if (request.cloud !== null && request.cloud !== this.name) return [];
    // Nobody hears of it whom another cloud offers something.
    if (!hasCredentials(this.#options.environment)) throw noCredentials();
    return await (await this.#loaded()).offers(request);
  }

  async prepare(
    placement: Placement,
    authorizedKey: string,
    tags: Readonly<Record<string, string>>,
    wants: MachineWants = {},
  ): Promise<CreateRequest> {
    return await (await this.#loaded()).prepare(placement, authorizedKey, tags, wants);
  }

  async create(request: CreateRequest): Promise<Instance[]> {
    return await (await this.#loaded()).create(request);
  }

  /** Zones of a region are listed together. */
  async places(): Promise<Place[]> {
    if (!hasCredentials(this.#options.environment)) return [];
    return (await (await this.#loaded()).regions()).map((region) => ({ region, zone: 'any' }));
  }

  async list(place: Place, filter: InstanceFilter): Promise<Instance[]> {
    return await (await this.#loaded()).list(place, filter);
  }

  async stop(place: Place, ids: readonly string[]): Promise<void> {
    await (await this.#loaded()).stop(place, ids);
  }

  async start(place: Place, ids: readonly string[]): Promise<void> {
    await (await this.#loaded()).start(place, ids);
  }

  async terminate(place: Place, placementKey: string): Promise<string[]> {
    return await (await this.#loaded()).terminate(place, placementKey);
  }

  async setPorts(place: Place, placementKey: string, ports: readonly string[]): Promise<void> {
    await (await this.#loaded()).setPorts(place, placementKey, ports);
  }

  async owned(installation: string): Promise<CloudResource[]> {
    if (!hasCredentials(this.#options.environment)) throw noCredentials();
    return await (await this.#loaded()).owned(installation);
  }

  async existing(resources: readonly CloudResource[]): Promise<CloudResource[]> {
    return await (await this.#loaded()).existing(resources);
  }

  async remove(resource: CloudResource): Promise<void> {
    await (await this.#loaded()).remove(resource);
  }

  async openTargets(): Promise<OpenedTargets> {
    throw new StyxError('invalid', NO_TARGETS);
  }

  async joinGroup(
    place: Place,
    ids: readonly string[],
    addresses: readonly string[],
  ): Promise<Readonly<Record<string, string>>> {
    return await (await this.#loaded()).joinGroup(place, ids, addresses);
  }

  async armPowerOff(place: Place, ids: readonly string[], action: PowerOff['action']): Promise<void> {
    await (await this.#loaded()).armPowerOff(place, ids, action);
  }

  powerOff(instance: Instance, action: PowerOff['action']): PowerOff {
    return {
      action,
      command: ['sudo', '-n', 'shutdown', '-h', 'now'],
      identity: { path: INSTANCE_ID_FILE, text: instance.id },
    };
  }

  notices({ useSpot }: Pick<Placement, 'useSpot'>): NoticeSource | null {
    return useSpot ? SPOT_NOTICES : null;
  }

  classify(error: unknown): StyxError {
    return classify(error);
  }

  #loaded(): Promise<Ec2> {
    this.#ec2 ??= import('./ec2.ts').then(({ Ec2 }) => new Ec2(this.#options));
    return this.#ec2;
  }
}

function noCredentials(): StyxError {
  return new StyxError('auth', 'there are no credentials of AWS here', {
    hint: 'Run `aws configure` or `aws sso login`, or set AWS_PROFILE; then `styx check aws`.',
  });
}
