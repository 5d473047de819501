/** What machines of AWS do with their own disks at a boot: the script that they are given, on disks that are files of this machine. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

const SCRIPT = join(import.meta.dirname, '..', '..', 'clouds', 'aws', 'local-disks.sh');
const STORE = 'nvme-Amazon_EC2_NVMe_Instance_Storage_';

/**
 * In mounts of its own: `disk NAME…` makes a blank disk with these names below /dev/disk/by-id and sets $disk, `boot` runs the script, and
 * `mounted` says what is where.
 */
const HELP = `
set -e
mount -t tmpfs none /mnt
mount -t tmpfs none /var/log
mkdir -p /mnt/files /dev/disk/by-id
mount -t tmpfs none /dev/disk/by-id
disk() {
  file=$(mktemp /mnt/files/XXXXXX)
  truncate -s 32M "$file"
  disk=$(losetup --find --show "$file")
  for name; do ln -s "$disk" "/dev/disk/by-id/$name"; done
  exec 3<"$disk"
  sleep 60 <&3 >/dev/null 2>&1 &
  exec 3<&-
  losetup --detach "$disk"
}
boot() { sh ${SCRIPT}; }
power_cycle() { for place in /mnt/local-disks/*; do umount "$place"; done; rm -r /mnt/local-disks; }
mounted() {
  for place in /mnt/local-disks/*; do
    echo "\${place##*/} $(findmnt -n -o SOURCE,FSTYPE -M "$place" | tr -s ' ') $(stat -c %a "$place")"
  done
}
said() { cut -d' ' -f2- /var/log/styx/set-up.log; }
`;

function run(text: string): string {
  const all = `${HELP}${text}`;
  const unshare = ['--mount', '--pid', '--fork', '--kill-child', '--propagation', 'private', 'sh', '-c', all];
  const { stdout, stderr, status } = spawnSync('unshare', unshare, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`exit ${status}: ${stderr}`);
  return stdout;
}

function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return 'disks need root';
  try {
    run('disk a; mkfs.ext4 -q "$disk"; mount "$disk" /mnt/files');
    return undefined;
  } catch (error) {
    return `there can be no disks of files here: ${(error as Error).message}`;
  }
}

const lacks = whyNot();
if (lacks !== undefined) console.warn(`SKIPPED test/clouds/aws-local-disks: ${lacks}`);

describe.skipIf(lacks !== undefined)("a machine's own disks", () => {
  test('are each formatted and mounted once, where all may write, whatever names they have', () => {
    const said = run(`
      disk ${STORE}AWS1 ${STORE}AWS1_1 ${STORE}AWS1-ns-1; one=$disk
      disk ${STORE}AWS2; two=$disk
      boot; boot
      su -s /bin/sh nobody -c 'echo mine >/mnt/local-disks/1/mine'
      mounted | sed "s|$one|ONE|; s|$two|TWO|"; said | sed "s|$one|ONE|; s|$two|TWO|"`);
    expect(said).toBe(
      '0 ONE ext4 1777\n1 TWO ext4 1777\nmounted ONE at /mnt/local-disks/0\nmounted TWO at /mnt/local-disks/1\n',
    );
  });

  test('are where they were after a reboot, in whatever order they are found, and new ones take free numbers', () => {
    const said = run(`
      disk ${STORE}AWS0; zero=$disk
      disk ${STORE}AWS1; one=$disk
      boot
      echo kept >/mnt/local-disks/1/kept
      power_cycle
      # The first of them is another one now, and blank.
      cp --sparse=always /dev/zero "$zero" 2>/dev/null || true
      disk ${STORE}AWS2; two=$disk
      mkfs.ext4 -q -F -L styx-local-0 "$two"
      boot
      cat /mnt/local-disks/1/kept
      mounted | sed "s|$zero|ZERO|; s|$one|ONE|; s|$two|TWO|"`);
    expect(said).toBe('kept\n0 TWO ext4 1777\n1 ONE ext4 1777\n2 ZERO ext4 1777\n');
  });

  test.each([
    ['a file system', 'mkfs.xfs -q -f "$disk" 2>/dev/null || mkfs.ext4 -q "$disk"'],
    ['swap', 'mkswap "$disk" >/dev/null'],
    ['bytes that nobody can name', 'printf something | dd of="$disk" bs=1 seek=70000 conv=notrunc status=none'],
  ])('are left as they are with %s on them', (_, write) => {
    const said = run(`
      disk ${STORE}AWS1
      ${write}
      before=$(md5sum <"$disk")
      boot
      [ "$before" = "$(md5sum <"$disk")" ] && echo untouched
      ls /mnt; said | sed "s|$disk|DISK|"`);
    expect(said).toBe('untouched\nfiles\nDISK is left as it is: it is not blank\n');
  });

  test('are those of the instance alone: no volume of EBS is touched, and no partition', () => {
    const said = run(`
      disk nvme-Amazon_Elastic_Block_Store_vol0123; volume=$disk
      disk ${STORE}AWS1-part1; part=$disk
      before=$(cat "$volume" "$part" | md5sum)
      boot
      [ "$before" = "$(cat "$volume" "$part" | md5sum)" ] && echo untouched
      ls /mnt; said`);
    expect(said).toBe('untouched\nfiles\n');
  });

  test("are the image's where it is a Deep Learning image, which mounts them itself", () => {
    const said = run(`
      mount -t tmpfs none /opt; mkdir /opt/dlami
      disk ${STORE}AWS1
      before=$(md5sum <"$disk")
      boot
      [ "$before" = "$(md5sum <"$disk")" ] && echo untouched
      readlink /mnt/local-disks/0; said`);
    expect(said).toBe('untouched\n/opt/dlami/nvme\nthe image mounts its disks at /opt/dlami/nvme\n');
  });
});
