/** nvidia.github.io as machines find it that are told where: NVIDIA's repository for apt, by HTTPS and signed. Needs gpg and openssl. */
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { run } from '../machines/commands.ts';
import { makeRepository, type Package } from './repository.ts';

const HOST = 'nvidia.github.io';
/** Of the bridge on which machines hang. */
const ADDRESS = '198.18.0.1';

export class NvidiaSite {
  readonly #server: https.Server;
  readonly #directory: string;
  /** Whether the index is signed by a key that is not the site's. */
  isForged = false;
  /** Shell text for the image of a machine that finds the site, and trusts its certificate. */
  readonly trusted: string;

  private constructor(server: https.Server, directory: string, trusted: string) {
    this.#server = server;
    this.#directory = directory;
    this.trusted = trusted;
  }

  /** Nobody answers there before it is opened. */
  static async make(packages: readonly Package[]): Promise<NvidiaSite> {
    const directory = mkdtempSync(join(tmpdir(), 'styx-nvidia-'));
    const site = join(directory, 'libnvidia-container');
    mkdirSync(site);
    await makeRepository(join(site, 'stable', 'deb', 'all'), packages);
    const release = join(site, 'stable', 'deb', 'all', 'Release');
    await sign(directory, release, 'InRelease', join(site, 'gpgkey'));
    await sign(directory, release, 'forged', join(directory, 'nowhere'));
    const [key, certificate] = [join(directory, 'key'), join(directory, 'certificate')];
    const names = ['-subj', `/CN=${HOST}`, '-addext', `subjectAltName=DNS:${HOST}`];
    const made = ['-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-keyout', key, '-out', certificate];
    await run('openssl', 'req', ...made, ...names);
    const text = readFileSync(certificate, 'utf8').trim();
    const hash = (await run('openssl', 'x509', '-hash', '-noout', '-in', certificate)).trim();
    const found: { site?: NvidiaSite } = {};
    const server = https.createServer({ key: readFileSync(key), cert: text }, (request, response) => {
      // Packages are for all architectures.
      const asked = (request.url ?? '').replace(/\/deb\/[^/]+\//, '/deb/all/');
      const path = found.site?.isForged === true ? asked.replace(/InRelease$/, 'forged') : asked;
      const file = join(directory, path);
      const isThere = path.startsWith('/libnvidia-container/') && existsSync(file) && statSync(file).isFile();
      response.writeHead(isThere ? 200 : 404);
      response.end(isThere ? readFileSync(file) : '');
    });
    const trusted = [
      `echo '${ADDRESS} ${HOST}' >>/etc/hosts`,
      `echo '${text}' >/etc/ssl/certs/${hash}.0`,
      `cat /etc/ssl/certs/${hash}.0 >>/etc/ssl/certs/ca-certificates.crt`,
    ].join('\n');
    found.site = new NvidiaSite(server, directory, trusted);
    return found.site;
  }

  /** After the machines, whose network it is in. */
  async open(): Promise<void> {
    this.#server.listen(443, ADDRESS);
    await once(this.#server, 'listening');
  }

  async end(): Promise<void> {
    this.#server.closeAllConnections();
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve));
    rmSync(this.#directory, { recursive: true });
  }
}

/** Signs an index with a new key, as the file `name` beside it; the key's public part goes to `publicKey`. */
async function sign(directory: string, release: string, name: string, publicKey: string): Promise<void> {
  const home = mkdtempSync(join(directory, 'gpg-'));
  const gpg = ['--homedir', home, '--batch', '--yes', '--passphrase', ''];
  await run('gpg', ...gpg, '--quick-generate-key', 'of a test', 'rsa2048', 'sign', '1d');
  await run('gpg', ...gpg, '--armor', '--output', publicKey, '--export');
  await run('gpg', ...gpg, '--output', join(dirname(release), name), '--clear-sign', release);
  await run('gpgconf', '--homedir', home, '--kill', 'all');
}
