/** Which image a machine starts from: the one that is named, else Ubuntu, with NVIDIA's drivers where it has such cards. */
import type { Shape } from '../../catalogs/catalog.ts';
import { StyxError } from '../../model/errors.ts';
import { imageFor, type MachineWants } from '../../model/machine-wants.ts';
import type { Api } from './api.ts';
import { causeCode } from './network.ts';
import { Remembered } from './remembered.ts';

type Arch = Shape['arch'];

export interface Image {
  readonly id: string;
  readonly rootDevice: string;
  /** GiB that its disk has at least. */
  readonly minimum: number;
  /** As EC2 writes it; null: it does not say. */
  readonly arch: string | null;
}

export const LOGIN_USER = 'ubuntu';

/** AWS's own accelerators need other images, which nobody has tried here. */
const NOT_NVIDIA = /^(Inferentia|Trainium|Gaudi|Radeon|Qualcomm|Xilinx|Alveo)/i;

const UBUNTU = '/aws/service/canonical/ubuntu/server';
const DEEP_LEARNING = '/aws/service/deeplearning/ami';
const VERSIONS = ['22.04', '24.04'] as const;

/** Public parameters that name the newest image; the first that a region has is taken. */
export function imageParameters(arch: Arch, accelerator: string | null): string[] {
  if (accelerator === null) return VERSIONS.map((version) => ubuntu(arch, version));
  if (NOT_NVIDIA.test(accelerator)) {
    throw new StyxError('invalid', `machines with ${accelerator} are not supported yet by this version of Styx`);
  }
  return VERSIONS.map((version) => deepLearning(arch, version));
}

function ubuntu(arch: Arch, version: string): string {
  // Canonical changed the disk in the name with 24.04.
  const disk = version < '24.04' ? 'ebs-gp2' : 'ebs-gp3';
  return `${UBUNTU}/${version}/stable/current/${arch === 'arm64' ? 'arm64' : 'amd64'}/hvm/${disk}/ami-id`;
}

function deepLearning(arch: Arch, version: string): string {
  const name = arch === 'arm64' ? 'arm64' : 'x86_64';
  return `${DEEP_LEARNING}/${name}/base-oss-nvidia-driver-gpu-ubuntu-${version}/latest/ami-id`;
}

const AMI = /^ami-[0-9a-f]{8,17}$/;
/** As the AWS CLI and launch templates write it. */
const PARAMETER = /^resolve:ssm:(\/?[\w./-]+)$/;
/** SkyPilot's own images are not here: what they are made of is. */
const SKYPILOT = /^skypilot:(?:custom-)?(cpu|gpu)-ubuntu(-arm64)?(?:-cuda\d+)?(?:-(20|22|24)04)?(-arm64)?$/;

/** What `image_id` names: an id, or parameters that name one, by the architecture of the machine. */
export type Source =
  | { readonly id: string }
  | { readonly parameters: (arch: Arch) => readonly string[]; readonly arch: 'arm64' | null; readonly fixed: boolean };

/** @throws invalid for what names no image of AWS */
export function imageSource(image: string): Source {
  if (AMI.test(image)) return { id: image };
  const [, parameter] = PARAMETER.exec(image) ?? [];
  if (parameter !== undefined) return { parameters: () => [parameter], arch: null, fixed: true };
  const [, kind, early, year = '22', late] = SKYPILOT.exec(image) ?? [];
  if (kind !== undefined) {
    const make = kind === 'cpu' ? ubuntu : deepLearning;
    return {
      parameters: (arch) => [make(arch, `${year}.04`)],
      arch: early === undefined && late === undefined ? null : 'arm64',
      fixed: false,
    };
  }
  throw new StyxError('invalid', `image_id ${JSON.stringify(image.slice(0, 200))} names no image of AWS`, {
    hint: 'Name one by its id (ami-…), by a parameter (resolve:ssm:/aws/service/…), or as skypilot:cpu-ubuntu-2204 or skypilot:gpu-ubuntu-2204.',
  });
}

const KEPT_MS = 5 * 60_000;

export class Images {
  readonly #api: Api;
  readonly #found: Remembered<Image>;

  constructor(api: Api) {
    this.#api = api;
    this.#found = new Remembered(KEPT_MS);
  }

  /**
   * Regions in which the image that is asked for can be used, with the architecture that it needs (null: any); `regions`: those that come
   * into question. Null when none is asked for.
   * @throws invalid when it is in none of them, and for an id without a region
   */
  async places(
    wants: MachineWants,
    region: string | null,
    regions: readonly string[],
  ): Promise<ReadonlyMap<string, string | null> | null> {
    const { images = [] } = wants;
    if (images.length === 0) return null;
    const places = (region === null ? regions : [region.toLowerCase()]).filter(
      (one) => imageFor(wants, one) !== undefined,
    );
    if (places.length === 0) {
      const named = images.map((one) => one.region).join(', ');
      throw new StyxError('invalid', `image_id names images for ${named}, and none for ${region ?? 'a region of AWS'}`);
    }
    const lone = images.find((one) => one.region === null && AMI.test(one.image));
    if (lone !== undefined && region === null) {
      throw new StyxError('invalid', `${lone.image} is an image of one region, and none is named`, {
        hint: 'Name it (infra: aws/us-east-1), or give image_id as a map of regions to images.',
      });
    }
    const found = await Promise.allSettled(
      places.map(async (place) => [place, await this.#arch(place, imageFor(wants, place) as string)] as const),
    );
    const there = found.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const [failure] = found.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
    if (there.length === 0) throw failure;
    return new Map(there);
  }

  async #arch(region: string, image: string): Promise<string | null> {
    const source = imageSource(image);
    // What follows the machine is found when there is one.
    if (!('id' in source) && !source.fixed) return source.arch;
    return (await this.#image(region, source, null, image)).arch;
  }

  /** @throws invalid when the region has no such image, or one for other machines */
  async find(
    region: string,
    wants: MachineWants,
    shape: Shape | undefined,
    accelerator: string | null,
  ): Promise<Image> {
    const arch = shape?.arch ?? null;
    const asked = imageFor(wants, region);
    if (asked === undefined) throw new StyxError('invalid', `image_id names no image for ${region}`);
    const source: Source =
      asked === null
        ? { parameters: (of) => imageParameters(of, accelerator), arch: null, fixed: false }
        : imageSource(asked);
    const image = await this.#image(region, source, arch, asked);
    if (arch !== null && image.arch !== null && image.arch !== arch) {
      throw new StyxError(
        'invalid',
        `the image ${image.id} is for ${image.arch}, and ${shape?.instanceType} has processors of ${arch}`,
      );
    }
    return image;
  }

  async #image(region: string, source: Source, arch: Arch, asked: string | null): Promise<Image> {
    const names = 'id' in source ? [] : source.parameters(arch);
    const key = JSON.stringify([region, 'id' in source ? source.id : names]);
    return await this.#found.get(key, async () => {
      const id = 'id' in source ? source.id : await this.#parameter(region, names);
      return await this.#describe(region, id, asked);
    });
  }

  async #parameter(region: string, names: readonly string[]): Promise<string> {
    const { Parameters } = await this.#api.call(region, 'ssm:GetParameters', { Names: [...names] });
    const values = new Map((Parameters ?? []).map(({ Name, Value }) => [Name, Value]));
    const id = names.map((name) => values.get(name)).find((value) => value?.startsWith('ami-'));
    if (id === undefined) throw new StyxError('invalid', `${region} has no image at ${names.join(' or ')}`);
    return id;
  }

  async #describe(region: string, id: string, asked: string | null): Promise<Image> {
    const name = asked === null || asked === id ? id : `${id} (${asked})`;
    const missing = () =>
      new StyxError('invalid', `the image ${name} is not in ${region}, or is not shared with this account`, {
        hint: 'An image has another id in each region: copy it there, or give image_id as a map of regions to images.',
      });
    const { Images } = await this.#api.call(region, 'ec2:DescribeImages', { ImageIds: [id] }).catch((error) => {
      throw /^InvalidAMIID\.(NotFound|Unavailable|Malformed)$/.test(causeCode(error)) ? missing() : error;
    });
    const [image] = Images ?? [];
    if (image === undefined) throw missing();
    const { RootDeviceName, State, Architecture, Platform } = image;
    if (State !== undefined && State !== 'available') throw new StyxError('invalid', `the image ${name} is ${State}`);
    if (Platform?.toLowerCase() === 'windows') {
      throw new StyxError('invalid', `the image ${name} is one of Windows, on which Styx runs nothing`);
    }
    if (RootDeviceName === undefined) throw new StyxError('invalid', `the image ${name} has no disk to start from`);
    const root = image.BlockDeviceMappings?.find(({ DeviceName }) => DeviceName === RootDeviceName);
    return { id, rootDevice: RootDeviceName, minimum: root?.Ebs?.VolumeSize ?? 0, arch: Architecture ?? null };
  }
}
