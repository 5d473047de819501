/** How machines of a place are reached that have no address which this one can connect to: `ssh_proxy_command` of their cloud's section. */
import { loadConfig } from './config.ts';

/** The command of a place, `cloud/region`; null: its machines are connected to. The files of the user count, not those of a project. */
export async function proxyCommand(home: string, place: string): Promise<string | null> {
  const { config } = await loadConfig({ home, project: null });
  const [cloud = '', region = ''] = place.split('/');
  const written = (config.clouds as Readonly<Record<string, Record<string, unknown> | undefined>>)[cloud]
    ?.ssh_proxy_command;
  const command = isByRegion(written) ? written[region] : written;
  return typeof command === 'string' && command.trim() !== '' ? command : null;
}

function isByRegion(written: unknown): written is Readonly<Record<string, string>> {
  return typeof written === 'object' && written !== null;
}
