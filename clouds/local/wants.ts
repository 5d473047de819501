/** What of a machine's image, disk and network this machine can give: what it has, and nothing else. */
import { existsSync, statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { StyxError } from '../../model/errors.ts';
import type { MachineWants } from '../../model/machine-wants.ts';

/**
 * Ports and labels are met by themselves, and `best` is whatever there is.
 * @throws invalid for what an instance here cannot have; `root` is where their disks are
 */
export function mustMeet({ images, diskSize, diskTier }: MachineWants, root: string): void {
  const wrong = (message: string) => new StyxError('invalid', message);
  if (images !== undefined) throw wrong('local has no images: its instances run on this machine as it is');
  if (diskTier !== undefined && diskTier !== 'best') {
    throw wrong(`local has no disks of tier ${diskTier}: its instances use this machine's; "best" is whatever that is`);
  }
  if (diskSize === undefined) return;
  const has = diskGib(root);
  if (diskSize > has) throw wrong(`a disk of ${diskSize} GiB was asked for; that of ${root} has ${has} GiB`);
}

function diskGib(root: string): number {
  let path = root;
  while (!existsSync(path) && dirname(path) !== path) path = dirname(path);
  const { blocks, bsize } = statfsSync(path);
  return Math.floor((blocks * bsize) / 2 ** 30);
}
