/** A repository of Debian packages in a directory, as `apt-get` reads it: made by the real `dpkg-deb`, of files that a test names. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { run } from '../machines/commands.ts';

/** What a package puts in a place: a program's text, a copy of a file of this machine, or a symbolic link. */
export type Content = string | { readonly copy: string } | { readonly link: string };

export interface Package {
  readonly name: string;
  readonly depends?: string;
  /** By absolute path; all can be executed. */
  readonly files?: Readonly<Record<string, Content>>;
  /** Script that configures it. */
  readonly postinst?: string;
}

/** Makes the packages and their index in `directory`, a repository of the flat kind. */
export async function makeRepository(directory: string, packages: readonly Package[]): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const entries = await Promise.all(packages.map((one) => makePackage(directory, one)));
  const index = entries.join('\n');
  writeFileSync(join(directory, 'Packages'), index);
  const hash = sha256(Buffer.from(index));
  writeFileSync(join(directory, 'Release'), `SHA256:\n ${hash} ${Buffer.byteLength(index)} Packages\n`);
}

/** Its entry in the index. */
async function makePackage(directory: string, { name, depends, files = {}, postinst }: Package): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'styx-package-'));
  try {
    chmodSync(folder, 0o755);
    for (const [path, content] of Object.entries(files)) put(join(folder, path), content);
    const control = [
      `Package: ${name}`,
      'Version: 1',
      'Architecture: all',
      'Maintainer: nobody <nobody@example.org>',
      'Description: of a test',
      ...(depends === undefined ? [] : [`Depends: ${depends}`]),
      '',
    ].join('\n');
    put(join(folder, 'DEBIAN', 'control'), control);
    if (postinst !== undefined) put(join(folder, 'DEBIAN', 'postinst'), `#!/bin/sh\nset -e\n${postinst}\n`);
    const file = join(directory, `${name}.deb`);
    await run('dpkg-deb', '--root-owner-group', '-Znone', '--build', folder, file);
    const made = readFileSync(file);
    return `${control}Filename: ./${name}.deb\nSize: ${made.length}\nSHA256: ${sha256(made)}\n`;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function put(path: string, content: Content): void {
  mkdirSync(dirname(path), { recursive: true });
  if (typeof content === 'string') writeFileSync(path, content, { mode: 0o755 });
  else if ('copy' in content) copyFileSync(content.copy, path);
  else symlinkSync(content.link, path);
}

function sha256(data: Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

/** Shell text for a machine whose image has no packages but those of a repository, all of whose programs `lacks` names are gone. */
export function imageWithout(lacks: readonly string[], sources: string): string {
  const paths = lacks.flatMap((name) => ['/usr/bin', '/usr/sbin', '/usr/local/bin'].map((place) => `${place}/${name}`));
  return [
    `rm -f ${paths.join(' ')}`,
    'rm -rf /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/apt.conf.d /var/lib/apt/lists /var/lib/dpkg/triggers /var/lib/dpkg/updates',
    'mkdir -p /etc/apt/sources.list.d /etc/apt/apt.conf.d /var/lib/apt/lists/partial /var/lib/dpkg/triggers /var/lib/dpkg/updates',
    ': >/var/lib/dpkg/status; : >/var/log/dpkg.log',
    `echo '${sources}' >/etc/apt/sources.list`,
  ].join('\n');
}

/** Packages that a machine has installed, in the order of their installation; one that was installed twice is there twice. */
export function installedOn(root: string): string[] {
  const log = readFileSync(join(root, 'var', 'log', 'dpkg.log'), 'utf8');
  return [...log.matchAll(/ (?:install|upgrade) ([^: ]+)/g)].map(([, name = '']) => name);
}

/** Every package of which a machine has more or less than all. */
export function unfinishedOn(root: string): string[] {
  const status = readFileSync(join(root, 'var', 'lib', 'dpkg', 'status'), 'utf8');
  const updates = readdirSync(join(root, 'var', 'lib', 'dpkg', 'updates'));
  const unfinished = [...status.matchAll(/^Package: (.+)\nStatus: (.+)$/gm)].filter(
    ([, , how]) => how !== 'install ok installed',
  );
  return [...unfinished.map(([, name = '']) => name), ...updates];
}
