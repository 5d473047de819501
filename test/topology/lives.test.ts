import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SEARCH_ATTRIBUTES } from '../../model/search-attributes.ts';
import { environmentConfig } from '../../workers/connection.ts';
import { setUpNamespace } from '../../workers/set-up.ts';
import { Story } from '../guarantees/story.ts';
import { clientEnvironment, missing, NAMESPACE, type Production, RETENTION_DAYS } from '../harness/production.ts';
import type { World } from '../harness/world.ts';
import { startTopology } from './two-workers.ts';

/** The short part of what `npm run test:postgres` runs; the rest is in kills.test.ts, and in the guarantees and the crash matrix. */
const why = missing();
if (why !== null) console.log(`SKIPPED: the topology of PostgreSQL, Temporal's own server and two workers: ${why}`);

describe.skipIf(why !== null)('PostgreSQL, Temporal and two workers, with TLS between all', () => {
  let server: Production;
  let world: World;
  let story: Story;

  beforeAll(async () => {
    ({ server, world } = await startTopology());
    story = new Story(world, world.styx.clusters);
  });
  afterAll(async () => {
    await story.nothingLeft();
    await world.end();
  });

  test('a cluster lives from launch over stop and start to down', async () => {
    const ledger = world.ledger('life');
    const first = await story.up('life', `run: echo first >> ${ledger.path}`);
    await story.jobEnds('life', first, 'SUCCEEDED');
    await story.listed('life', 'UP');
    await story.stopAndStart('life');
    const { jobId } = await story.exec('life', `run: echo second >> ${ledger.path}`);
    await story.jobEnds('life', jobId, 'SUCCEEDED');
    await story.down('life');
    expect(ledger.lines()).toEqual(['first', 'second']);
  });

  test('the set-up job has made the namespace: retention and every search attribute; again it changes nothing', async () => {
    const again = await setUpNamespace({ retentionDays: RETENTION_DAYS, env: server.env });
    expect(again).toMatchObject({ namespace: NAMESPACE, installation: await world.styx.installation() });
    const { connectionOptions } = (await environmentConfig(server.env)) ?? {};
    const connection = await Connection.connect(connectionOptions);
    try {
      const { config } = await connection.workflowService.describeNamespace({ namespace: NAMESPACE });
      expect(Number(config?.workflowExecutionRetentionTtl?.seconds)).toBe(RETENTION_DAYS * 86_400);
      const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace: NAMESPACE });
      expect(Object.keys(customAttributes ?? {}).toSorted()).toEqual(Object.keys(SEARCH_ATTRIBUTES).toSorted());
    } finally {
      await connection.close();
    }
  });

  test('Temporal lets in who has a certificate of this authority, and nobody else', async () => {
    const { connectionOptions } = (await environmentConfig(server.env)) ?? {};
    const { tls, address } = connectionOptions ?? {};
    const knock = async (options: object) => {
      const connection = await Connection.connect({ address: address ?? '', connectTimeout: 3_000, ...options });
      await connection.close();
    };
    await server.certify('alice');
    const alice = await environmentConfig(clientEnvironment(server.address, server.certificates, 'alice'));
    await expect(knock(alice?.connectionOptions ?? {})).resolves.toBeUndefined();
    await expect(knock({ tls })).resolves.toBeUndefined();
    await expect(knock({ tls: false })).rejects.toThrow();
    const { clientCertPair: _, ...without } = tls as { clientCertPair?: unknown };
    await expect(knock({ tls: without })).rejects.toThrow();
  });

  test('PostgreSQL lets in the user whom the certificate names, and nobody else', async () => {
    const connectionString = (role: string, user: string) => {
      const file = (name: string) => join(server.certificates, role, name);
      const keys = `sslmode=verify-full sslrootcert=${file('ca.crt')} sslcert=${file('tls.crt')} sslkey=${file('tls.key')}`;
      return `host=127.0.0.1 port=${server.postgres.port} dbname=temporal user=${user} ${keys}`;
    };
    const ask = (text: string) => server.postgres.knock(text);
    await expect(ask(connectionString('temporal', 'temporal'))).resolves.toBe('1');
    await expect(ask(connectionString('worker', 'temporal'))).rejects.toThrow(/certificate authentication failed/);
    const { port } = server.postgres;
    await expect(ask(`host=127.0.0.1 port=${port} dbname=temporal user=temporal sslmode=require`)).rejects.toThrow(
      /valid client certificate/,
    );
    await expect(ask(`host=127.0.0.1 port=${port} dbname=temporal user=temporal sslmode=disable`)).rejects.toThrow(
      /no pg_hba.conf entry/,
    );
  });

  test('the servers of Temporal talk to each other with certificates too', async () => {
    const [host] = server.address.split(':');
    const ca = readFileSync(join(server.certificates, 'worker', 'ca.crt'));
    // Frontend, history, matching.
    for (const port of [7233, 7234, 7235]) {
      const refused = new Promise<string>((resolve, reject) => {
        const socket = connectTls({ host, port, ca, servername: 'temporal', ALPNProtocols: ['h2'] });
        socket.on('error', ({ message }) => resolve(message));
        socket.on('close', () => resolve('closed'));
        socket.setTimeout(5_000, () => reject(new Error(`port ${port} went on without a certificate`)));
      });
      await expect(refused).resolves.toMatch(/certificate required|closed|ECONNRESET/);
    }
  });
});
