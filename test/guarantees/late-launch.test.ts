/** Two launches of one name at once, of which the later one arrives first and so starts the cluster. */
import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Clusters } from '../../client/clusters.ts';
import { Link } from '../../client/link.ts';
import { TEST } from '../../model/timing.ts';
import { connectConfig } from '../../workers/connection.ts';
import { World } from '../harness/world.ts';
import { Story, until } from './story.ts';

/** A way to a server that can hold back what goes there. */
class Relay {
  readonly #server = net.createServer((client) => this.#pass(client));
  readonly #ways = new Set<net.Socket>();
  readonly #target: URL;
  held = 0;
  #holds = false;

  constructor(address: string) {
    this.#target = new URL(`tcp://${address}`);
  }

  async address(): Promise<string> {
    if (!this.#server.listening) await once(this.#server.listen(0, '127.0.0.1'), 'listening');
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  hold(): void {
    this.#holds = true;
  }

  release(): void {
    this.#holds = false;
    for (const way of this.#ways) way.emit('released');
  }

  close(): void {
    for (const way of this.#ways) way.destroy();
    this.#server.close();
  }

  #pass(client: net.Socket): void {
    const server = net.connect(Number(this.#target.port), this.#target.hostname);
    for (const way of [client, server])
      this.#ways.add(
        way
          .on('error', () => undefined)
          .on('close', () => {
            client.destroy();
            server.destroy();
          }),
      );
    server.pipe(client);
    client.on('data', (bytes) => {
      if (!this.#holds) return void server.write(bytes);
      this.held += bytes.length;
      client.once('released', () => server.write(bytes));
    });
  }
}

let world: World;
let story: Story;
let relay: Relay;
let slow: Link;

beforeAll(async () => {
  world = await World.start();
  story = new Story(world, world.styx.clusters);
  const config = await connectConfig(world.home);
  relay = new Relay(config.connectionOptions.address ?? '');
  const address = await relay.address();
  slow = await Link.open(
    () => Promise.resolve({ ...config, connectionOptions: { ...config.connectionOptions, address } }),
    world.home,
  );
});
afterAll(async () => {
  relay?.close();
  await slow?.close();
  await world?.end();
});

test('both are taken, and each job runs once', async () => {
  const late = new Clusters({ link: slow, workspace: 'default', user: 'late', timing: TEST, home: world.home });
  expect(await late.list()).toEqual([]);
  await slow.installation();
  const ledger = world.ledger('both');
  const task = (who: string) => world.task(`run: echo ${who} >> ${ledger.path}\n`);
  relay.hold();
  const first = late.launch({ name: 'same', ...task('first') });
  first.catch(() => undefined);
  await until('it is on its way', () => relay.held > 1_000);
  const second = await story.launch('same', `run: echo second >> ${ledger.path}\n`);
  relay.release();
  const answers = [await first, second];
  for (const answer of answers) await story.succeeds('same', answer);
  for (const { jobId } of answers) await story.jobEnds('same', jobId, 'SUCCEEDED');
  expect(ledger.lines().toSorted()).toEqual(['first', 'second']);
  await story.down('same');
});
