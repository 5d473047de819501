/** Machines of EC2: all of a placement are made by one call, whose token is the placement's key. */
import type { Instance as Ec2Instance } from '@aws-sdk/client-ec2';
import { type CloudResource, TAGS } from '../../model/cloud-resource.ts';
import { StyxError } from '../../model/errors.ts';
import { DEFAULT_DISK_GIB, type MachineWants } from '../../model/machine-wants.ts';
import {
  type Instance,
  type InstanceTypeOffer,
  instanceEnding,
  type Placement,
  type ResourceRequest,
} from '../../model/machines.ts';
import { hostKey } from '../../nodes/keys.ts';
import { installationSecret } from '../../system/secret.ts';
import type { CreateRequest, InstanceFilter } from '../cloud.ts';
import { PLACEMENT_TAG } from './actions.ts';
import { Api } from './api.ts';
import { type AwsOptions, CAPABILITIES } from './capabilities.ts';
import { identityOf, missingRights } from './check.ts';
import { speedOf } from './disks.ts';
import { classify } from './errors.ts';
import { allowAmongNodes, ensurePlacementGroup, fabricOf } from './fabric.ts';
import { HOSTS_FILE, letIn } from './group-hosts.ts';
import { type Image, Images } from './images.ts';
import { describeInstances, filtersOf, type Resolved, resolvedOf, runRequest, tagList, viewOf } from './instances.ts';
import { mustBeTags } from './labels.ts';
import { Looks } from './looks.ts';
import { causeCode, ensureGroup, findSubnet, groupName, groupOf, setPorts } from './network.ts';
import { Offers, pricesOf, shapeOf } from './offers.ts';
import { ownedIn, removeOwned } from './owned.ts';
import { Quotas } from './quotas.ts';
import { removeAll } from './removal.ts';
import { fitting, Reservations } from './reservations.ts';
import { awsSettings, instanceProfile } from './settings.ts';
import { userData } from './user-data.ts';

/** What `RunInstances` answers for a placement that was ended. */
const OVER = /^(IdempotentInstanceTerminated|InvalidGroup\.NotFound|InvalidPlacementGroup\.Unknown)$/;

type Place = Pick<Placement, 'region' | 'zone'>;

export class Ec2 {
  readonly #home: string;
  readonly #settle: number;
  readonly #api: Api;
  readonly #images: Images;
  readonly #reservations: Reservations;
  readonly #offers: Offers;
  readonly #looks: Looks;
  readonly #quotas: Quotas;
  /** Placements of which nothing was seen, and since when. */
  readonly #unseen = new Map<string, number>();
  /** Placements whose token was used for machines that were not listed, and since when. */
  readonly #unlisted = new Map<string, number>();

  constructor({ home, environment, lookEvery, settle }: Required<AwsOptions>) {
    this.#home = home;
    this.#settle = settle;
    this.#api = new Api(environment);
    this.#images = new Images(this.#api);
    this.#reservations = new Reservations(this.#api);
    this.#offers = new Offers(this.#api, this.#images, this.#reservations, home);
    this.#looks = new Looks(this.#api, lookEvery);
    this.#quotas = new Quotas(this.#api);
  }

  /** @throws auth */
  async check(): Promise<{ identity: string; account: string; missing: readonly string[] }> {
    const { account, arn } = await identityOf(this.#api);
    return { account, identity: arn, missing: await missingRights(this.#api) };
  }

  async offers(request: ResourceRequest): Promise<InstanceTypeOffer[]> {
    return await this.#offers.find(request);
  }

  /** Those that are switched on for this account. */
  async regions(): Promise<string[]> {
    return [...(await this.#offers.regions())];
  }

  async prepare(
    placement: Placement,
    authorizedKey: string,
    ownTags: Readonly<Record<string, string>>,
    wants: MachineWants,
  ): Promise<CreateRequest> {
    const { region, key, joins, numNodes, instanceType, accelerators } = placement;
    await this.#quotas.mustAllow(placement);
    const settings = await awsSettings(this.#home);
    const labels = { ...settings.labels, ...wants.labels };
    mustBeTags(labels);
    const tags = { ...labels, ...ownTags };
    const profile = instanceProfile(settings.remoteIdentity, ownTags[TAGS.cluster] ?? '');
    const shape = await shapeOf(instanceType, this.#home);
    const [image, subnet] = await Promise.all([
      this.#images.find(region, wants, shape, accelerators?.name ?? shape?.accelerators?.name ?? null),
      findSubnet(this.#api, placement, settings, numNodes),
    ]);
    const diskSize = sizeFor(wants, image);
    const reservation = fitting(await this.#reservations.in(region, settings.reservations), placement);
    if (reservation === undefined && placement.hourlyCost === 0) {
      throw new StyxError(
        'capacity',
        `no reservation has room any more for ${numNodes} ${instanceType} in ${placement.zone}`,
      );
    }
    const fabric = wants.networkTier === 'best' ? await fabricOf(this.#api, region, instanceType) : null;
    // Made here and not by `create`: a create call that comes after the end of its placement must not find one.
    const open = joins === undefined ? (wants.ports ?? []) : [];
    const group = await ensureGroup(this.#api, region, subnet.vpc, key, tagList(tags, key), open);
    // Beside its own, since a late create call is to fail when that is gone. Ports are open in this one alone, where they are closed.
    const joined = joins === undefined ? null : (await groupOf(this.#api, region, joins)).GroupId;
    const placementGroup = fabric?.near === true ? await this.#nearGroup(placement, tags) : null;
    const cards = fabric?.efa ?? 0;
    if (cards > 0) await allowAmongNodes(this.#api, region, group);
    const resolved: Resolved = {
      image: image.id,
      rootDevice: image.rootDevice,
      diskSize,
      diskEncrypted: settings.diskEncrypted,
      ...(wants.diskTier === undefined ? {} : { diskSpeed: speedOf(wants.diskTier, diskSize) }),
      subnet: subnet.id,
      group,
      ...(joined === null ? {} : { joined }),
      internal: settings.useInternalIps,
      ...(profile === null ? {} : { profile }),
      // Several interfaces and a public address exclude each other.
      ...(cards === 0 ? {} : { efa: settings.useInternalIps ? cards : 1 }),
      ...(placementGroup === null ? {} : { placementGroup }),
      ...(reservation === undefined ? {} : { reservation: { id: reservation.id, block: reservation.block } }),
      madeAt: Date.now(),
      ...(settings.sshUser === null ? {} : { user: settings.sshUser }),
    };
    return { placement, authorizedKey: authorizedKey.trim(), tags, resolved };
  }

  /** Where the machines are near each other, and near those that they join; null for one alone. */
  async #nearGroup(
    { region, key, numNodes, joins }: Placement,
    tags: Readonly<Record<string, string>>,
  ): Promise<string | null> {
    if (joins !== undefined) return groupName(joins);
    return numNodes > 1 ? await ensurePlacementGroup(this.#api, region, key, tagList(tags, key)) : null;
  }

  async setPorts({ region }: Place, placementKey: string, ports: readonly string[]): Promise<void> {
    await setPorts(this.#api, region, placementKey, ports);
  }

  async joinGroup({ region }: Place, ids: readonly string[], addresses: readonly string[]) {
    await letIn(this.#api, region, ids, addresses);
    return Object.fromEntries(ids.map((id) => [id, HOSTS_FILE]));
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

  /** In all regions that are switched on. */
  async owned(installation: string): Promise<CloudResource[]> {
    const filter = { Name: `tag:${TAGS.installation}`, Values: [installation] };
    const priceOf = await pricesOf(this.#home);
    const found = await Promise.all(
      (await this.regions()).map((region) => ownedIn(this.#api, region, filter, (one) => priceOf(region, one))),
    );
    return found.flat();
  }

  async existing(resources: readonly CloudResource[]): Promise<CloudResource[]> {
    const byRegion = Map.groupBy(resources, ({ region }) => region);
    const found = await Promise.all(
      [...byRegion].map(async ([region, wanted]) => {
        const keys = [...new Set(wanted.flatMap(({ placementKey }) => placementKey ?? []))];
        // Of what names no placement all that is ours is listed.
        const filter = wanted.every(({ placementKey }) => placementKey !== null)
          ? { Name: `tag:${PLACEMENT_TAG}`, Values: keys }
          : { Name: 'tag-key', Values: [TAGS.installation] };
        const there = await ownedIn(this.#api, region, filter, () => null);
        const ids = new Set(there.map(({ id }) => id));
        return wanted.filter(({ id }) => ids.has(id));
      }),
    );
    return found.flat();
  }

  async remove(resource: CloudResource): Promise<void> {
    await removeOwned(this.#api, resource);
  }

  async stop(place: Place, ids: readonly string[]): Promise<void> {
    const there = (await this.#ask(place, { ids })).filter(
      ({ State }) => State?.Name === 'running' || State?.Name === 'pending',
    );
    if (there.some(({ InstanceLifecycle }) => InstanceLifecycle === 'spot'))
      throw new StyxError('invalid', String(CAPABILITIES.stopSpot));
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
    return this.#settled(this.#unseen, placementKey) ? [] : ['what no listing shows yet'];
  }

  /** Is it a while that this was said of the placement first? */
  #settled(since: Map<string, number>, placementKey: string): boolean {
    const now = Date.now();
    const first = since.get(placementKey) ?? now;
    for (const [key, at] of since) if (now - at > 100 * this.#settle) since.delete(key);
    since.set(placementKey, first);
    return now - first >= this.#settle;
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
      if (OVER.test(code)) throw over;
      if (code === 'IdempotentParameterMismatch') return await this.#adopted(placement, over);
      throw this.#quotas.explained(classify(error), placement);
    }
  }

  /**
   * The token was used with another request, such as one of another version of Styx: what it made is this placement's. When nothing
   * of it is listed for a while, the placement is over.
   */
  async #adopted({ region, zone, key, numNodes }: Placement, over: StyxError): Promise<Instance[]> {
    const there = await this.list({ region, zone }, { placementKey: key });
    if (there.some(({ state }) => instanceEnding(state))) throw over;
    if (there.length === numNodes) return there;
    if (there.length === 0 && this.#settled(this.#unlisted, key)) throw over;
    throw new StyxError('transient', `the machines of placement ${key} were made and are not listed yet`);
  }

  #ask({ region }: Place, filter: InstanceFilter): Promise<Ec2Instance[]> {
    return describeInstances(this.#api, region, filtersOf(filter));
  }

  #view(one: Ec2Instance): Instance {
    return viewOf(one, (placementKey) => hostKey(this.#secret(), placementKey).publicKey);
  }

  #secret(): Buffer {
    return Buffer.from(installationSecret(this.#home));
  }
}

/** @throws invalid for a disk that the image does not fit on */
function sizeFor({ diskSize }: MachineWants, image: Image): number {
  if (diskSize === undefined) return Math.max(DEFAULT_DISK_GIB, image.minimum);
  if (diskSize >= image.minimum) return diskSize;
  throw new StyxError('invalid', `disk_size is ${diskSize} GiB, and the image ${image.id} needs ${image.minimum}`);
}

function idsOf(instances: readonly Ec2Instance[]): string[] {
  return instances.flatMap(({ InstanceId }) => InstanceId ?? []);
}
