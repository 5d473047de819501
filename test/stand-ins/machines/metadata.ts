/** What a machine learns of itself at 169.254.169.254, by tokens only (IMDSv2). Who asks is known by the address. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { Wanted } from './machine.ts';
import { METADATA_ADDRESS } from './network.ts';

const LATEST = '/latest/';
const TOKEN_TTL = 'x-aws-ec2-metadata-token-ttl-seconds';
const TOKEN = 'x-aws-ec2-metadata-token';

/** What a spot machine is told of its end. */
export interface Notices {
  /** ISO 8601 of the interruption. */
  interruptedAt?: string;
  rebalanceAt?: string;
}

export type Asking = (address: string) => { readonly wanted: Wanted; readonly notices: Notices } | undefined;

export async function serveMetadata(whoIs: Asking): Promise<void> {
  const tokens = new Map<string, { readonly of: string; readonly until: number }>();
  const server = http.createServer((request, response) => {
    const from = request.socket.remoteAddress ?? '';
    const known = whoIs(from);
    if (known === undefined) return say(response, 404, '');
    if (request.method === 'PUT' && request.url === '/latest/api/token') {
      const seconds = Number(request.headers[TOKEN_TTL]);
      if (!(seconds >= 1 && seconds <= 21_600)) return say(response, 400, '');
      const token = randomBytes(24).toString('base64url');
      tokens.set(token, { of: from, until: Date.now() + seconds * 1_000 });
      response.setHeader(TOKEN_TTL, String(seconds));
      return say(response, 200, token);
    }
    const token = tokens.get(header(request, TOKEN));
    if (token === undefined || token.of !== from || token.until < Date.now()) return say(response, 401, '');
    if (request.method !== 'GET') return say(response, 405, '');
    const found = answer((request.url ?? '').replace(/\/$/, ''), known.wanted, known.notices);
    say(response, found === undefined ? 404 : 200, found ?? '');
  });
  server.listen(80, METADATA_ADDRESS);
  await once(server, 'listening');
}

function answer(path: string, wanted: Wanted, { interruptedAt, rebalanceAt }: Notices): string | undefined {
  const { id, region, zone, type, privateAddress, publicAddress, index, tags, spot } = wanted;
  const data: Record<string, string> = {
    'meta-data/instance-id': id,
    'meta-data/instance-type': type,
    'meta-data/instance-life-cycle': spot ? 'spot' : 'on-demand',
    'meta-data/ami-launch-index': String(index),
    'meta-data/placement/availability-zone': zone,
    'meta-data/placement/region': region,
    'meta-data/local-ipv4': privateAddress,
    'user-data': wanted.userData,
    'dynamic/instance-identity/document': JSON.stringify({
      instanceId: id,
      region,
      availabilityZone: zone,
      instanceType: type,
      privateIp: privateAddress,
    }),
  };
  if (publicAddress !== null) data['meta-data/public-ipv4'] = publicAddress;
  if (interruptedAt !== undefined) {
    data['meta-data/spot/instance-action'] = JSON.stringify({ action: 'terminate', time: interruptedAt });
    data['meta-data/spot/termination-time'] = interruptedAt;
  }
  if (rebalanceAt !== undefined) {
    data['meta-data/events/recommendations/rebalance'] = JSON.stringify({ noticeTime: rebalanceAt });
  }
  for (const [name, value] of Object.entries(tags ?? {})) data[`meta-data/tags/instance/${name}`] = value;
  if (!path.startsWith(LATEST)) return undefined;
  const wantedPath = path.slice(LATEST.length);
  if (Object.hasOwn(data, wantedPath)) return data[wantedPath];
  const below = Object.keys(data).filter((name) => name.startsWith(`${wantedPath}/`));
  if (below.length === 0) return undefined;
  const names = below.map((name) => name.slice(wantedPath.length + 1).replace(/\/.*/, '/'));
  return [...new Set(names)].sort().join('\n');
}

function header(request: IncomingMessage, name: string): string {
  const value = request.headers[name];
  return typeof value === 'string' ? value : '';
}

function say(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'text/plain' });
  response.end(text);
}
