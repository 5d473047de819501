/** Where the ports of a cluster are reached: `ADDRESS:PORT` of its head, as SkyPilot prints them. */
import { StyxError } from '../model/errors.ts';
import { closedPorts, portRanges } from '../model/machine-wants.ts';

/** More than these would not be read by anybody. */
const MOST_LINES = 1_000;

export interface Ported {
  readonly name: string;
  readonly status: string;
  readonly headIp: string | null;
  readonly ports: readonly string[];
}

/** One line a port: `8080: 203.0.113.7:8080`. @throws refused for a cluster without an address or without ports */
export function endpointLines(cluster: Ported): string[] {
  const address = addressOf(cluster);
  if (cluster.ports.length === 0) {
    throw new StyxError('refused', `Cluster '${cluster.name}' has no ports that are open`, {
      hint: `\`styx ports ${cluster.name} --open PORTS\` opens some; so does a launch of a task with \`resources.ports\` on it.`,
    });
  }
  const ports = portRanges(cluster.ports).flatMap(([from, to]) =>
    Array.from({ length: Math.min(to - from + 1, MOST_LINES) }, (_, index) => from + index),
  );
  return ports.slice(0, MOST_LINES).map((port) => `${port}: ${at(address, port)}`);
}

/** `203.0.113.7:8080`. @throws invalid for what is no port, refused for one that is not open */
export function endpointOf(cluster: Ported, written: string): string {
  const port = Number(written);
  if (!/^\d{1,5}$/.test(written) || port < 1 || port > 65_535) {
    throw new StyxError('invalid', `--endpoint takes a port from 1 to 65535, not ${written.slice(0, 40)}`);
  }
  const address = addressOf(cluster);
  if (closedPorts(cluster.ports, [written]).length > 0) {
    const open = cluster.ports.length === 0 ? 'none is' : `${cluster.ports.join(', ')} are`;
    throw new StyxError('refused', `Port ${port} of cluster '${cluster.name}' is not open: ${open}`, {
      hint: `\`styx ports ${cluster.name} --open ${port}\` opens it.`,
    });
  }
  return at(address, port);
}

function addressOf({ name, status, headIp }: Ported): string {
  if (headIp !== null) return headIp;
  throw new StyxError('refused', `Cluster '${name}' is ${status} and has no address`);
}

function at(address: string, port: number): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
