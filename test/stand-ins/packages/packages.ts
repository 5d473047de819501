/**
 * The packages that the set-up of machines installs. Python and Docker are this machine's own; what only cards of NVIDIA or its network
 * can give is stood in for by programs that do what the set-up sees of them.
 */
import { copyFileSync, existsSync, linkSync, mkdirSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import type { Package } from './repository.ts';

/** Where machines see the directory that is shared with them. */
const SHARED = '/opt/shared';

/** A line of `sources.list` for the repository in `packages` of the shared directory. */
export const OWN_PACKAGES = `deb [trusted=yes] file:${SHARED}/packages ./`;

/** Programs that are not there before the packages are. */
export const LACKS = ['python3', 'python3.*', 'docker', 'dockerd'];

export const PYTHON: Package = { name: 'python3', files: { '/usr/bin/python3': { copy: '/usr/bin/python3' } } };

/** Docker's programs are large: machines read them from the directory that is shared with them. `postinst` configures it. */
export function docker(shared: string, postinst = ''): Package {
  const place = join(shared, 'programs');
  mkdirSync(place, { recursive: true });
  const files = ['/usr/bin/docker', '/usr/sbin/dockerd'].map((path) => {
    const name = path.split('/').at(-1) ?? '';
    const own = [path, `/usr/local/bin/${name}`].find((one) => existsSync(one)) ?? path;
    if (!existsSync(join(place, name))) share(realpathSync(own), join(place, name));
    return [path, { link: `${SHARED}/programs/${name}` }] as const;
  });
  return { name: 'docker.io', files: Object.fromEntries(files), postinst };
}

/** Of the same file system it takes no room. */
function share(file: string, as: string): void {
  try {
    linkSync(file, as);
  } catch {
    copyFileSync(file, as);
  }
}

/** As `nvidia-smi -L` lists them. */
export const CARD = 'GPU 0: Tesla T4 (UUID: GPU-5c3e6c0a-47e1-4d11-9d3a-000000000000)';

const NVIDIA_SMI = `#!/bin/sh\n[ "$*" = -L ] && echo '${CARD}'\n`;

/** As on Ubuntu: the tool that finds the driver, the driver for machines that compute, and apart from it its utilities. */
export const DRIVERS: readonly Package[] = [
  {
    name: 'ubuntu-drivers-common',
    files: {
      '/usr/bin/ubuntu-drivers':
        '#!/bin/sh\n[ "$*" = "install --gpgpu" ] && exec apt-get -q -y install nvidia-headless-no-dkms-535-server\n',
    },
  },
  { name: 'nvidia-headless-no-dkms-535-server', depends: 'nvidia-compute-utils-535-server' },
  { name: 'nvidia-compute-utils-535-server' },
  { name: 'nvidia-utils-535-server', files: { '/usr/bin/nvidia-smi': NVIDIA_SMI } },
];

/** Tells Docker of its runtime as the real one does, and gives containers that ask for cards what lists them. */
export const TOOLKIT: Package = {
  name: 'nvidia-container-toolkit',
  files: {
    '/usr/bin/nvidia-ctk': `#!/usr/bin/python3
import json, sys
assert sys.argv[1:] == ['runtime', 'configure', '--runtime=docker'], sys.argv
with open('/etc/docker/daemon.json') as file: config = json.load(file)
config['runtimes'] = {'nvidia': {'path': 'nvidia-container-runtime', 'args': []}}
with open('/etc/docker/daemon.json', 'w') as file: json.dump(config, file)
`,
    '/usr/bin/nvidia-container-runtime': '#!/bin/sh\nexec runc "$@"\n',
    '/usr/bin/nvidia-container-runtime-hook': `#!/usr/bin/python3
import json, os, shutil, sys
bundle = json.load(sys.stdin)['bundle']
with open(bundle + '/config.json') as file: config = json.load(file)
if 'NVIDIA_VISIBLE_DEVICES=all' in config['process']['env']:
    shutil.copy('/usr/bin/nvidia-smi', os.path.join(bundle, config['root']['path'], 'usr/bin/nvidia-smi'))
`,
  },
};
