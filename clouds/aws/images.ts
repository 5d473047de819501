/** Which image a machine starts from: Ubuntu, with NVIDIA's drivers where it has such cards. */
import type { Shape } from '../../catalogs/catalog.ts';
import { StyxError } from '../../model/errors.ts';
import type { Api } from './api.ts';

export interface Image {
  readonly id: string;
  readonly rootDevice: string;
  /** GiB that its disk has at least. */
  readonly minimum: number;
}

export const LOGIN_USER = 'ubuntu';

/** AWS's own accelerators need other images, which nobody has tried here. */
const NOT_NVIDIA = /^(Inferentia|Trainium|Gaudi|Radeon|Qualcomm|Xilinx|Alveo)/i;

const UBUNTU = '/aws/service/canonical/ubuntu/server/22.04/stable/current';
const DEEP_LEARNING = '/aws/service/deeplearning/ami';

/** Public parameters that name the newest image; the first that a region has is taken. */
export function imageParameters(arch: Shape['arch'], accelerator: string | null): string[] {
  if (accelerator === null) {
    const name = arch === 'arm64' ? 'arm64' : 'amd64';
    return [`${UBUNTU}/${name}/hvm/ebs-gp2/ami-id`, `${UBUNTU.replace('22.04', '24.04')}/${name}/hvm/ebs-gp3/ami-id`];
  }
  if (NOT_NVIDIA.test(accelerator)) {
    throw new StyxError('invalid', `machines with ${accelerator} are not supported yet by this version of Styx`);
  }
  const name = arch === 'arm64' ? 'arm64' : 'x86_64';
  const image = 'base-oss-nvidia-driver-gpu-ubuntu';
  return [22.04, 24.04].map((version) => `${DEEP_LEARNING}/${name}/${image}-${version.toFixed(2)}/latest/ami-id`);
}

/** @throws invalid when the region has no such image */
export async function findImage(api: Api, region: string, parameters: readonly string[]): Promise<Image> {
  const { Parameters } = await api.call(region, 'ssm:GetParameters', { Names: [...parameters] });
  const values = new Map((Parameters ?? []).map(({ Name, Value }) => [Name, Value]));
  const id = parameters.map((name) => values.get(name)).find((value) => value?.startsWith('ami-'));
  if (id === undefined) throw new StyxError('invalid', `${region} has no image at ${parameters.join(' or ')}`);
  const { Images } = await api.call(region, 'ec2:DescribeImages', { ImageIds: [id] });
  const [image] = Images ?? [];
  if (image?.RootDeviceName === undefined)
    throw new StyxError('invalid', `the image ${id} cannot be read in ${region}`);
  const root = image.BlockDeviceMappings?.find(({ DeviceName }) => DeviceName === image.RootDeviceName);
  return { id, rootDevice: image.RootDeviceName, minimum: root?.Ebs?.VolumeSize ?? 0 };
}
