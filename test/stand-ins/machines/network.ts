/** The network that machines hang on: a bridge with the addresses that a cloud gives, and no way out. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './commands.ts';

export const BRIDGE = 'styx';
export const METADATA_ADDRESS = '169.254.169.254';
/** Of RFC 2544: nobody's. And that of default VPCs. */
const GATEWAYS = ['198.18.0.1/16', '172.31.0.1/16', `${METADATA_ADDRESS}/32`];

/** In the network namespace of this process, which must have none but the loopback device. */
export async function makeNetwork(): Promise<void> {
  const routes = (await run('ip', 'route', 'show')).trim();
  if (routes !== '') throw new Error(`not a network of its own: it has routes (${routes.split('\n')[0]})`);
  await run('ip', 'link', 'set', 'lo', 'up');
  await run('ip', 'link', 'add', BRIDGE, 'type', 'bridge');
  for (const gateway of GATEWAYS) await run('ip', 'addr', 'add', gateway, 'dev', BRIDGE);
  await run('ip', 'link', 'set', BRIDGE, 'up');
}

/** Nothing comes or goes over this cable any more, without a word to either side; or all of it does again. */
export async function cut(cable: string, isCut: boolean, scratch: string): Promise<void> {
  const table = `styx-${cable}`;
  if (!isCut) return void (await run('nft', 'delete', 'table', 'netdev', table));
  const chain = (hook: string) => `
  chain ${hook} {
    type filter hook ${hook} device "${cable}" priority 0; policy drop;
  }`;
  const rules = join(scratch, `${cable}.nft`);
  await writeFile(rules, `table netdev ${table} {${chain('ingress')}${chain('egress')}\n}\n`);
  await run('nft', '-f', rules);
}
