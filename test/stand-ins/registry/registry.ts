/**
 * A registry of images of containers (the part of Docker's API that a pull needs), over HTTP at an address of the machines' network.
 *   styx/task:1     bash, Python, /of-the-image; FROM_IMAGE in its environment
 *   styx/bare:1     the same without Python
 *   styx/apk:1      the same as the first, without bash and Python but with an `apk` that installs them
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import http, { type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { run } from '../machines/commands.ts';

/** Of the bridge on which machines hang. */
const ADDRESS = '198.18.0.1';
const MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json';
const CONFIG = 'application/vnd.docker.container.image.v1+json';
const LAYER = 'application/vnd.docker.image.rootfs.diff.tar.gzip';

export const REGISTRY_LOGIN = { username: 'a-user', password: 'a-pass:word of $the registry' };

export class Registry {
  readonly #server: http.Server;
  /** `host:port`, as it stands before the name of an image. */
  readonly host: string;
  /** What layers wait for. */
  #held: Promise<void> = Promise.resolve();

  private constructor(server: http.Server) {
    this.#server = server;
    this.host = `${ADDRESS}:${(server.address() as AddressInfo).port}`;
  }

  /** After the machines, whose network it is in. `isPrivate`: only for who logs in with REGISTRY_LOGIN. */
  static async start({ isPrivate = false }: { readonly isPrivate?: boolean } = {}): Promise<Registry> {
    images ??= makeImages();
    const { blobs, manifests } = await images;
    const registry: { made?: Registry } = {};
    const server = http.createServer(async (request, response) => {
      const [, name = '', kind, reference = ''] = /^\/v2\/(.+)\/(manifests|blobs)\/(.+)$/.exec(request.url ?? '') ?? [];
      if (isPrivate && !isKnown(request)) {
        response.setHeader('www-authenticate', 'Basic realm="registry"');
        return refuse(response, 401, 'UNAUTHORIZED');
      }
      if (request.url === '/v2/') return say(response, 200, '{}');
      if (kind === 'blobs') {
        if (registry.made !== undefined) await registry.made.#held;
        const blob = blobs.get(reference);
        return blob === undefined ? refuse(response, 404, 'BLOB_UNKNOWN') : say(response, 200, blob);
      }
      const manifest = manifests[name];
      if (manifest === undefined || (reference !== '1' && reference !== digest(manifest))) {
        return refuse(response, 404, 'MANIFEST_UNKNOWN');
      }
      response.setHeader('docker-content-digest', digest(manifest));
      response.setHeader('content-length', manifest.length);
      say(response, 200, request.method === 'HEAD' ? '' : manifest, MANIFEST);
    });
    server.listen(0, ADDRESS);
    await once(server, 'listening');
    registry.made = new Registry(server);
    return registry.made;
  }

  /** Nobody gets anything but manifests until the answer is called. */
  hold(): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#held = promise;
    return resolve;
  }

  async end(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

interface Images {
  /** By digest. */
  readonly blobs: ReadonlyMap<string, Buffer>;
  /** By name. */
  readonly manifests: Readonly<Record<string, Buffer>>;
}

/** Made once: every registry has the same. */
let images: Promise<Images> | undefined;

async function makeImages(): Promise<Images> {
  const blobs = new Map<string, Buffer>();
  const [task, bare, apk] = await Promise.all([image(blobs, 'python'), image(blobs), image(blobs, 'python', 'apk')]);
  return { blobs, manifests: { 'styx/task': task, 'styx/bare': bare, 'styx/apk': apk } };
}

/** The manifest; what it names is in `blobs` then. */
async function image(blobs: Map<string, Buffer>, ...more: readonly string[]): Promise<Buffer> {
  const folder = mkdtempSync(join(tmpdir(), 'styx-image-'));
  try {
    await run('sh', join(import.meta.dirname, 'image.sh'), join(folder, 'root'), ...more);
    await run('tar', '-C', join(folder, 'root'), '-I', 'gzip -1', '-cf', join(folder, 'layer'), '.');
    const layer = readFileSync(join(folder, 'layer'));
    const config = Buffer.from(
      JSON.stringify({
        architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
        os: 'linux',
        config: { Env: ['PATH=/usr/bin:/usr/sbin', 'FROM_IMAGE=a variable of the image'], Cmd: ['/nothing'] },
        rootfs: { type: 'layers', diff_ids: [digest(gunzipSync(layer))] },
      }),
    );
    const named = (mediaType: string, blob: Buffer) => {
      blobs.set(digest(blob), blob);
      return { mediaType, size: blob.length, digest: digest(blob) };
    };
    const manifest = {
      schemaVersion: 2,
      mediaType: MANIFEST,
      config: named(CONFIG, config),
      layers: [named(LAYER, layer)],
    };
    return Buffer.from(JSON.stringify(manifest));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function isKnown({ headers }: IncomingMessage): boolean {
  const { username, password } = REGISTRY_LOGIN;
  return headers.authorization === `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`;
}

function digest(data: Buffer): string {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}

function refuse(response: ServerResponse, status: number, code: string): void {
  say(response, status, JSON.stringify({ errors: [{ code, message: code.toLowerCase().replace('_', ' ') }] }));
}

function say(response: ServerResponse, status: number, body: string | Buffer, type = 'application/json'): void {
  response.writeHead(status, { 'content-type': type, 'docker-distribution-api-version': 'registry/2.0' });
  response.end(body);
}
