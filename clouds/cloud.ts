/**
 * A cloud is one interface. Each provider is a folder beside this file; nothing else in the tree names one.
 * Every method is idempotent and safe to run twice at the same time: an activity may die after its effect and before its
 * answer, and run again on another worker. Failures are StyxErrors whose kind says what to do (`model/errors.ts`).
 */
import type { CloudResource } from '../model/cloud-resource.ts';
import type { StyxError } from '../model/errors.ts';
import type { NoticeSource } from '../model/machine-notices.ts';
import type { MachineWants } from '../model/machine-wants.ts';
import type { Instance, InstanceTypeOffer, Placement, PowerOff, ResourceRequest } from '../model/machines.ts';

export interface Capabilities {
  /** Machines can be stopped with their disks kept. A reason when not, shown to the user. */
  readonly stop: true | string;
  /** Spot machines too can be stopped; else they can only be ended. */
  readonly stopSpot: true | string;
  readonly spot: true | string;
  /** More than one node in a cluster. */
  readonly multiNode: true | string;
  readonly openPorts: true | string;
  /** Buckets of the cloud can be mounted. */
  readonly storage: true | string;
  /** Files can be put outside of the home directory of a machine. */
  readonly absoluteTargets: true | string;
  /** Machines of different clusters in one region can reach one another, by host names too: see `joinGroup`. */
  readonly groupHosts: true | string;
  /** Machines are whole: Docker runs on them, and a task in a container of its image. A reason when not. */
  readonly wholeMachines: true | string;
  /** Host keys are known from the cloud itself before the first contact. */
  readonly hostKeysKnown: boolean;
}

export interface CloudCheck {
  readonly ok: boolean;
  /** Who we are there; for people. */
  readonly identity: string;
  /** Part of the id of everything that is shared by one account. */
  readonly account: string;
  /** What is missing, with the next step; empty when ok. */
  readonly problems: readonly string[];
  readonly capabilities: Capabilities;
}

/** Everything needed to make the machines of one placement, built once, recorded, and re-sent byte for byte. Plain JSON. */
export interface CreateRequest {
  readonly placement: Placement;
  /** OpenSSH public key line that may log in. */
  readonly authorizedKey: string;
  /** On every resource: installation, workflow, workspace, cluster, generation. */
  readonly tags: Readonly<Record<string, string>>;
  /** What the provider resolved ahead of time (image, subnet, …). Opaque to everybody else. */
  readonly resolved: Readonly<Record<string, unknown>>;
}

/** What to look for. All given fields must match. */
export interface InstanceFilter {
  readonly placementKey?: string;
  readonly ids?: readonly string[];
  readonly tags?: Readonly<Record<string, string>>;
}

/** By a machine's id and a target: the path there through which it is filled. */
export type OpenedTargets = Readonly<Record<string, Readonly<Record<string, string>>>>;

export interface Cloud {
  readonly name: string;
  /** Others than Styx can stop and end its machines, so that stopped ones are looked at. */
  readonly isShared: boolean;
  capabilities(): Promise<Capabilities>;

  /** Looks at credentials and rights without changing anything. */
  check(): Promise<CloudCheck>;

  /** The least rights that are needed, in the provider's own form, ready to be pasted; null where there is no such thing. */
  policy(): Promise<string | null>;

  /**
   * What of the catalog this cloud can give for a request now, with all that it wants besides, best first. Empty when nothing fits.
   * @throws invalid when the request can never be met here (says why), auth
   */
  offers(request: ResourceRequest): Promise<InstanceTypeOffer[]>;

  /**
   * Resolves all that is volatile into a request that can be re-sent byte for byte. May make what the machines need and what costs
   * nothing: the intent is on record, and `terminate` removes it.
   * @throws invalid for a want that cannot be met here, capacity, quota, auth
   */
  prepare(
    placement: Placement,
    authorizedKey: string,
    tags: Readonly<Record<string, string>>,
    wants?: MachineWants,
  ): Promise<CreateRequest>;

  /**
   * Makes the machines of a placement, or finds those that an earlier call with the same placement key made. Answers as soon
   * as the provider accepted, machines may still be pending. All nodes or none, as far as the provider can.
   * @throws capacity, quota, auth, invalid; transient and throttled may be repeated with the same request
   * @throws not-found when this placement's machines were terminated already: the placement is over
   */
  create(request: CreateRequest): Promise<Instance[]>;

  /** Where machines of ours can be, such that a `list` of each shows all of them once. Empty when there are no credentials at all. */
  places(): Promise<Pick<Placement, 'region' | 'zone'>[]>;

  /** Machines in any state that the cloud still knows of; an empty answer proves nothing. */
  list(place: Pick<Placement, 'region' | 'zone'>, filter: InstanceFilter): Promise<Instance[]>;

  /** Asks for STOPPED; answers at once. Machines that are gone are not an error. @throws invalid for what cannot be stopped */
  stop(place: Pick<Placement, 'region' | 'zone'>, ids: readonly string[]): Promise<void>;

  /** Asks for RUNNING again, with the same disks. @throws not-found, capacity */
  start(place: Pick<Placement, 'region' | 'zone'>, ids: readonly string[]): Promise<void>;

  /**
   * Asks for the end of every machine of a placement, and of what was made with them, and answers what there is still besides
   * machines, for people: a group that can be deleted only after them. Answers at once; done when that is empty and `list` shows the
   * machines terminated or not at all. Machines that are gone are not an error.
   */
  terminate(place: Pick<Placement, 'region' | 'zone'>, placementKey: string): Promise<string[]>;

  /**
   * Makes room on running machines for absolute targets of file mounts, which stays as long as their disks do. Whoever logs in may
   * write there afterwards.
   * @throws invalid for one that cannot be had there, by name; transient while a machine does not run
   */
  openTargets(
    place: Pick<Placement, 'region' | 'zone'>,
    ids: readonly string[],
    targets: readonly string[],
  ): Promise<OpenedTargets>;

  /**
   * Lets the machines at `addresses` (internal ones) reach all of these machines, and nobody whom an earlier call let in and this one
   * does not name. Answers by id the path of the file of host names that whoever logs in may write or, with sudo, replace.
   * @throws invalid where `groupHosts` says that it cannot be had; transient while a machine does not run
   */
  joinGroup(
    place: Pick<Placement, 'region' | 'zone'>,
    ids: readonly string[],
    addresses: readonly string[],
  ): Promise<Readonly<Record<string, string>>>;

  /**
   * Lets anybody reach these ports, and besides that of SSH no others, of all machines of a placement and of those that join it (ranges
   * as `wants.ports` has them, which are open from the start). A port that stays open is not closed meanwhile.
   * @throws not-found when the placement is gone, and ports with it
   */
  setPorts(place: Pick<Placement, 'region' | 'zone'>, placementKey: string, ports: readonly string[]): Promise<void>;

  /** Everything in this account that carries an installation's tag and is not gone, of whatever kind and wherever. @throws auth, throttled, transient */
  owned(installation: string): Promise<CloudResource[]>;

  /** Which of these are not gone, by their ids. @throws auth, throttled, transient */
  existing(resources: readonly CloudResource[]): Promise<CloudResource[]>;

  /** Asks for its end; answers at once. What is gone is not an error. @throws transient while something else that goes first is there */
  remove(resource: CloudResource): Promise<void>;

  /** Makes `action` what follows when these machines power themselves off. Called before their agents are told of it. */
  armPowerOff(
    place: Pick<Placement, 'region' | 'zone'>,
    ids: readonly string[],
    action: PowerOff['action'],
  ): Promise<void>;

  /** How a node ends itself when nobody else can: what its agent is told to do. */
  powerOff(instance: Instance, action: 'stop' | 'terminate'): PowerOff;

  /** Where a machine itself hears that it is taken back; null where no such thing is said. */
  notices(placement: Pick<Placement, 'useSpot'>, instance: Instance): NoticeSource | null;

  /** The kind of a provider's own error. */
  classify(error: unknown): StyxError;
}
