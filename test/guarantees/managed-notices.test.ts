/** Who is configured is told of every state of a managed job, in order, at least once, whoever is killed; who does not answer delays nobody. */
import { chmodSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { signatureOf } from '../../activities/deliver.ts';
import { Reader } from '../../client/histories.ts';
import { Link } from '../../client/link.ts';
import { TEST } from '../../model/timing.ts';
import { connectConfig } from '../../workers/connection.ts';
import { World } from '../harness/world.ts';
import { JobStory } from './job-story.ts';
import { until } from './story.ts';

interface Got {
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly id: string;
  readonly status: string;
  readonly previous: string | null;
  readonly job: { readonly id: number | null; readonly name: string | null; readonly workflowId: string };
}

/** A real receiver: what it was sent, and how it answers. */
class Receiver {
  readonly got: Got[] = [];
  answer: () => number | 'nothing' | 'redirect' = () => 200;
  private readonly server: Server;

  private constructor(server: Server) {
    this.server = server;
  }

  static async open(): Promise<Receiver> {
    const server = createServer();
    const receiver = new Receiver(server);
    server.on('request', (request, response) => {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const text = Buffer.concat(parts).toString();
        const answer = receiver.answer();
        if (answer === 200) receiver.got.push({ ...(JSON.parse(text) as Got), headers: request.headers, text });
        if (answer === 'nothing') return;
        if (answer === 'redirect') response.writeHead(302, { location: `${receiver.url}/elsewhere` });
        else response.statusCode = answer;
        response.end();
      });
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    return receiver;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/hook?token=in-the-address`;
  }

  of(id: string): Got[] {
    return this.got.filter(({ job }) => job.workflowId === id);
  }

  /** Without what came twice. */
  statuses(id: string): string[] {
    return [...new Map(this.of(id).map((one) => [one.id, one.status])).values()];
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((done) => this.server.close(done));
  }
}

let world: World;
let story: JobStory;
let receiver: Receiver;
beforeAll(async () => {
  world = await World.start();
  story = await JobStory.on(world);
});
afterAll(async () => {
  await story.close();
  await world.end();
});
beforeEach(async () => {
  receiver = await Receiver.open();
});
afterEach(async () => {
  configure([]);
  await receiver.close();
});

function configure(rules: readonly object[]): void {
  writeFileSync(join(world.home, 'config.yaml'), JSON.stringify({ notifications: rules }));
  chmodSync(join(world.home, 'config.yaml'), 0o600);
}

const LIFE = ['PENDING', 'STARTING', 'RUNNING', 'SUCCEEDED'];

test('every state comes in order and signed; the secret and the address are in no history', async () => {
  writeFileSync(join(world.home, 'hook.key'), 'very-secret-value\n');
  configure([{ url: receiver.url, secret_file: 'hook.key' }]);
  const id = await story.submit('name: told\nrun: sleep 0.5\n');
  const { number } = await story.ends(id, 'SUCCEEDED');
  await until('all came', () => receiver.statuses(id).length === 4);
  expect(receiver.statuses(id)).toEqual(LIFE);
  expect(receiver.of(id).map(({ previous }) => previous)).toEqual([null, ...LIFE.slice(0, 3)]);
  for (const { headers, text, job } of receiver.of(id)) {
    const timestamp = String(headers['styx-timestamp']);
    expect(headers['styx-signature']).toBe(signatureOf('very-secret-value', timestamp, text));
    expect(Math.abs(Number(timestamp) - Date.now() / 1_000)).toBeLessThan(120);
    expect(headers['styx-notification-id']).toBe((JSON.parse(text) as Got).id);
    expect(job).toMatchObject({ name: 'told', workflowId: id });
  }
  expect(receiver.of(id).at(-1)?.job.id).toBe(number);
  const link = await Link.open(() => connectConfig(world.home), world.home);
  try {
    const reader = new Reader(link.converter);
    const { events } = await link.read((workflow) => workflow.getHandle(id).fetchHistory());
    const said: unknown[] = [];
    for (const event of events ?? []) {
      const step = event.activityTaskScheduledEventAttributes ?? event.activityTaskCompletedEventAttributes;
      const payloads = step && ('input' in step ? step.input : 'result' in step ? step.result : null);
      said.push(...(await reader.values(payloads?.payloads)));
    }
    const text = JSON.stringify(said);
    expect(text).toContain('"receiver":');
    expect(text).not.toContain('very-secret-value');
    expect(text).not.toContain('in-the-address');
  } finally {
    await link.close();
  }
});

test('a receiver that fails at first, and a worker that is killed with a message on its way, lose nothing and change no order', async () => {
  let left = 4;
  receiver.answer = () => (left-- > 0 ? (([500, 'redirect', 404, 503] as const)[left] ?? 500) : 200);
  configure([{ url: receiver.url }]);
  world.arm('sendNotice.called');
  const id = await story.submit('run: sleep 0.5\n');
  expect(await world.hit('sendNotice.called', 60_000)).toBe(true);
  await world.killAt('sendNotice.called', 'worker');
  await story.ends(id, 'SUCCEEDED');
  await until('all came', () => receiver.statuses(id).length === 4);
  expect(receiver.statuses(id)).toEqual(LIFE);
  // The one that was taken when the worker died came again, under the same id.
  expect(receiver.of(id).length).toBeGreaterThan(4);
});

test('one that never answers keeps neither the job nor other receivers waiting, and is told in the history', async () => {
  const deaf = await Receiver.open();
  deaf.answer = () => 418;
  const ledger = world.ledger('command');
  configure([
    { url: deaf.url, statuses: ['SUCCEEDED'], name: 'the deaf one' },
    { url: receiver.url, statuses: ['running', 'SUCCEEDED'], names: ['some-*'] },
    { url: receiver.url, names: ['others'] },
    { url: receiver.url, workspaces: ['others'] },
    { command: `read -r line; echo "$STYX_JOB_STATUS $line" >> ${ledger.path}`, statuses: ['SUCCEEDED'] },
  ]);
  const id = await story.submit('name: some-job\nrun: sleep 0.5\n');
  await story.ends(id, 'SUCCEEDED');
  await until('the others were told', () => receiver.statuses(id).length === 2 && ledger.lines().length === 1);
  expect(receiver.statuses(id)).toEqual(['RUNNING', 'SUCCEEDED']);
  const [line = ''] = ledger.lines();
  expect(line.startsWith('SUCCEEDED {')).toBe(true);
  expect(JSON.parse(line.slice('SUCCEEDED '.length))).toMatchObject({ status: 'SUCCEEDED', job: { workflowId: id } });
  const view = await story.job(id, 'gave it up', ({ events }) =>
    events.some(({ text }) => text.includes('the deaf one')),
  );
  const told = view.events.find(({ text }) => text.includes('the deaf one'))?.text;
  expect(told).toBe("could not tell that it is SUCCEEDED: the deaf one: it answered 418 I'm a Teapot");
  await story.nothingLeft();
  await deaf.close();
});

test('while one that fails is tried, styx doctor says so', async () => {
  receiver.answer = () => 503;
  configure([{ url: receiver.url, statuses: ['SUCCEEDED'] }]);
  const patient = await JobStory.on(world, { timing: { ...TEST, noticesFor: 600_000 } });
  try {
    const id = await patient.submit('name: told-late\nrun: sleep 0.5\n');
    await patient.ends(id, 'SUCCEEDED');
    const finding = await until('it is found', async () =>
      (await world.styx.doctor()).findings.find(({ subject, check }) => subject === id && check === 'activities'),
    );
    expect(finding.problem).toMatch(
      /^its step sendNotice is at attempt \d+; the last one failed: 127\.0\.0\.1:\d+: it answered 503/,
    );
    receiver.answer = () => 200;
    await until('it was told', () => receiver.statuses(id).length === 1);
  } finally {
    await patient.close();
  }
});
