/**
 * npm run world: a shell with a working `styx` on an AWS of its own: EC2 behind a fault proxy, and a machine for every instance, in a
 * network without a way out. All of it ends with the shell, whatever ends that.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { testDir } from '../../harness/temporal.ts';
import { Account } from '../aws/account.ts';
import { runInside } from './inside.ts';
import { Machines } from './machines.ts';
import { whyNoAws } from './needs.ts';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const INSIDE = 'STYX_WORLD_INSIDE';

/** Once more, as the first process of namespaces: the kernel ends with it all that was started in them. */
async function outside(): Promise<number> {
  const lacks = whyNoAws();
  if (lacks !== undefined) {
    console.error(`There can be no AWS world here: ${lacks}.`);
    return 1;
  }
  const home = testDir();
  process.on('SIGINT', () => {});
  const code = await runInside([import.meta.filename], { [INSIDE]: home }, (text) => console.log(text));
  rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  return code ?? 1;
}

async function inside(home: string): Promise<number> {
  process.on('SIGINT', () => {});
  const account = await Account.start();
  const machines = await Machines.start(account.direct);
  mkdirSync(join(home, 'styx'), { mode: 0o700 });
  const rc = join(home, 'bashrc');
  writeFileSync(rc, `PS1='[styx on its own AWS] \\w \\$ '\n`);
  const { [INSIDE]: _, ...mine } = process.env;
  const env = {
    ...Object.fromEntries(Object.entries(mine).filter(([name]) => !/^(AWS|TEMPORAL)_/.test(name))),
    ...account.environment(),
    STYX_HOME: join(home, 'styx'),
    PATH: [join(ROOT, 'bin'), dirname(process.execPath), process.env.PATH].join(delimiter),
  };
  console.log(`styx works here as everywhere, on an AWS that exists only here: try
  styx launch -c mine --infra aws 'echo hello from $(hostname)'
Faults of machines: curl -d '{"id": "i-…"}' ${machines.url}freeze   (thaw, cut, join, fill, empty, interrupt, machines)
Faults of EC2:      curl -d '{"m5.large": {"us-east-1a": 0}}' ${account.direct}/styx/capacity   (see test/stand-ins/aws/server.py)
All of it ends with this shell.`);
  const shell = spawn('bash', ['--rcfile', rc, '-i'], { stdio: 'inherit', env });
  const [code] = (await once(shell, 'exit')) as [number | null];
  spawnSync(join(ROOT, 'bin', 'styx'), ['server', 'stop'], { env, stdio: 'ignore' });
  await machines.end();
  await account.end();
  return code ?? 1;
}

const home = process.env[INSIDE];
process.exitCode = home === undefined ? await outside() : await inside(home);
