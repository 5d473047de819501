/** What speaks HTTP: the Temporal server's own ports, which anybody's page can reach, and `styx ui`, which answers one person. */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { serveWebUi, type WebUi } from '../../server/web-ui.ts';
import { Story } from '../guarantees/story.ts';
import { World } from '../harness/world.ts';
import { jobInput, Stranger } from './stranger.ts';

/** A machine that is busy with other things is slow, and not wrong. */
const PATIENT = { budget: 60_000 };
let world: World;
let story: Story;
let stranger: Stranger;

beforeAll(async () => {
  world = await World.start();
  story = new Story(world, world.styx.clusters);
  stranger = await Stranger.at(world.server.address);
  await story.up('h', "run: 'true'");
});
afterAll(async () => {
  await story.down('h');
  await story.nothingLeft();
  await stranger.close();
  await world.end();
});

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** As a browser or a program would, with any Host. Status 0: no HTTP there. */
function call(
  url: string,
  options: { method?: string; headers?: Record<string, string>; body?: string } = {},
): Promise<Answer> {
  return new Promise((resolve) => {
    const none = { status: 0, headers: {}, body: '' };
    const { method = 'GET', headers = {} } = options;
    const sent = request(url, { method, headers, timeout: 5_000 }, (answer) => {
      let body = '';
      answer.on('data', (data: Buffer) => {
        body += String(data);
      });
      answer.on('end', () => resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body }));
    });
    sent.on('error', () => resolve(none));
    sent.on('timeout', () => sent.destroy());
    sent.end(options.body);
  });
}

/** Ports that a process listens at. */
function portsOf(pid: number): number[] {
  const sockets = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return [/^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? ''];
      } catch {
        return [];
      }
    }),
  );
  const LISTEN = '0A';
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n').slice(1);
  return lines.flatMap((line) => {
    const [, local = '', , state, , , , , , inode = ''] = line.trim().split(/\s+/);
    return state === LISTEN && sockets.has(inode) ? [Number.parseInt(local.split(':')[1] ?? '', 16)] : [];
  });
}

const ORIGIN = { origin: 'https://elsewhere.example' };
/** `passes`: Temporal takes it for one of its own user's. */
const WAYS: Readonly<Record<string, { passes: boolean; headers: Record<string, string> }>> = {
  'a text/plain cross-origin POST': { passes: true, headers: { ...ORIGIN, 'content-type': 'text/plain' } },
  'a JSON POST of another site': { passes: true, headers: { ...ORIGIN, 'content-type': 'application/json' } },
  'a POST to a foreign Host': {
    passes: true,
    headers: { host: 'elsewhere.example', 'content-type': 'application/json' },
  },
  'a POST to the Host that nobody has': { passes: true, headers: { host: 'styx.invalid' } },
  'a POST of a program': { passes: true, headers: { 'content-type': 'application/json' } },
};

describe.each(Object.entries(WAYS))('%s to any port of the Temporal server', (way, { passes, headers }) => {
  const name = way.replace(/\W+/g, '-');

  test('starts nothing, signals nothing and updates nothing', async () => {
    const view = await story.clusters.view('h', PATIENT);
    const mark = join(world.home, `m-${name}`);
    const data = Buffer.from(JSON.stringify(jobInput(view, `touch ${mark}`))).toString('base64');
    const payload = { metadata: { encoding: Buffer.from('json/plain').toString('base64') }, data };
    const start = { workflowType: { name: 'job' }, taskQueue: { name: 'styx' }, requestId: name };
    const ports = portsOf(world.server.pid);
    expect(ports.length).toBeGreaterThan(3);
    const entity = encodeURIComponent('cluster/default/h');
    const accepted: string[] = [];
    for (const port of ports) {
      const base = `http://127.0.0.1:${port}`;
      const { headers: found } = await call(base);
      // A page under a name that points here can read the UI's cookie and repeat it.
      const csrf = /_csrf=([^;]+)/.exec(String(found['set-cookie'] ?? ''))?.[1];
      const sent = csrf === undefined ? headers : { ...headers, cookie: `_csrf=${csrf}`, 'x-csrf-token': csrf };
      // The UI's server takes messages as they are, the HTTP API takes payloads as a list.
      for (const [form, input] of [
        ['ui', { payloads: [payload] }],
        ['api', [payload]],
      ] as const) {
        for (const [path, body] of [
          [`${name}-${port}-${form}`, { ...start, input }],
          [`${entity}/signal/operationEnded`, { input }],
          [
            `${entity}/update/down`,
            { waitPolicy: { lifecycleStage: 3 }, request: { input: { name: 'down', args: input } } },
          ],
        ] as const) {
          const url = `${base}/api/v1/namespaces/default/workflows/${path}`;
          const { status, body: said } = await call(url, { method: 'POST', headers: sent, body: JSON.stringify(body) });
          if (status === 200) accepted.push(path);
          if (status === 200 && path.includes('/update/')) expect(said).toContain('refused');
        }
      }
    }
    // The UI's server passes on what comes from its own page, or seems to: then only the seal is between it and us.
    const starts = accepted.filter((path) => path.startsWith(name));
    expect(starts.length > 0, JSON.stringify(accepted)).toBe(passes);
    await sleep(1_000);
    for (const port of ports) {
      const found = await stranger
        .handle(`${name}-${port}`)
        .describe()
        .catch(() => null);
      if (found !== null) expect(await stranger.ending(`${name}-${port}`)).toBe('FAILED');
    }
    expect(existsSync(mark)).toBe(false);
    expect((await story.clusters.view('h', PATIENT)).operations).toEqual(view.operations);
  });
});

describe('styx ui', () => {
  let ui: WebUi;
  let base: string;
  let cookie: string;

  beforeAll(async () => {
    const port = await uiPort();
    ui = await serveWebUi({ home: world.home, ui: `http://127.0.0.1:${port}`, namespace: 'default' });
    base = new URL(ui.link).origin;
  });
  afterAll(() => ui.close());

  const sealed = async () => {
    const { events } = await stranger.handle('cluster/default/h').fetchHistory();
    const [payload] = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
    const metadata = Object.entries(payload?.metadata ?? {}).map(([name, bytes]) => [
      name,
      Buffer.from(bytes).toString('base64'),
    ]);
    return JSON.stringify({
      payloads: [{ metadata: Object.fromEntries(metadata), data: Buffer.from(payload?.data ?? []).toString('base64') }],
    });
  };

  test('answers nobody before its link was opened, and listens on loopback only', async () => {
    expect(new URL(base).hostname).toMatch(/^127\./);
    for (const path of ['/', '/api/v1/settings', '/api/v1/namespaces', '/styx-codec/decode', '/open/', '/open/0123']) {
      expect((await call(base + path)).status, path).toBe(401);
    }
    const body = await sealed();
    expect((await call(`${base}/styx-codec/decode`, { method: 'POST', headers: { origin: base }, body })).status).toBe(
      401,
    );
  });

  test('its link works once', async () => {
    const first = await call(ui.link);
    expect(first.status).toBe(200);
    const [set = ''] = first.headers['set-cookie'] ?? [];
    expect(set).toMatch(/; HttpOnly; SameSite=Strict$/);
    cookie = set.split(';')[0] ?? '';
    expect((await call(ui.link)).status).toBe(401);
  });

  test('shows the UI and opens payloads for the one who came by the link', async () => {
    expect((await call(base, { headers: { cookie } })).body).toContain('<html');
    const { body } = await call(`${base}/api/v1/settings`, { headers: { cookie } });
    expect(JSON.parse(body)).toMatchObject({
      Codec: { Endpoint: `${base}/styx-codec`, IncludeCredentials: true },
      DisableWriteActions: true,
    });
    const headers = { cookie, origin: base, 'content-type': 'application/json' };
    const answer = await call(`${base}/styx-codec/decode`, { method: 'POST', headers, body: await sealed() });
    const { payloads } = JSON.parse(answer.body) as { payloads: { data: string }[] };
    const opened = JSON.parse(Buffer.from(payloads[0]?.data ?? '', 'base64').toString());
    expect(opened).toMatchObject({ $styx: 'start:cluster', args: [{ name: 'h' }] });
  });

  test('answers no page of another site, and no name that points here, even with the cookie', async () => {
    const body = await sealed();
    for (const headers of [
      { cookie, origin: 'https://elsewhere.example' },
      { cookie, origin: 'http://127.0.0.1:8233' },
      { cookie, origin: 'null' },
      { cookie },
      { cookie, origin: base, host: 'elsewhere.example' },
      { cookie, origin: base, host: `localhost:${new URL(base).port}` },
    ] as Record<string, string>[]) {
      const answer = await call(`${base}/styx-codec/decode`, { method: 'POST', headers, body });
      expect(answer.status, JSON.stringify(headers)).toBe(403);
    }
    expect((await call(base, { headers: { cookie, host: 'elsewhere.example' } })).status).toBe(403);
  });

  test('passes no command on', async () => {
    const path = `/api/v1/namespaces/default/workflows/${encodeURIComponent('cluster/default/h')}`;
    for (const what of ['/terminate', '/cancel', '/signal/abort', '/update/down', '']) {
      const answer = await call(base + path + what, { method: 'POST', headers: { cookie, origin: base }, body: '{}' });
      expect(answer.status, what).toBe(403);
    }
  });

  async function uiPort(): Promise<number> {
    for (const port of portsOf(world.server.pid)) {
      if ((await call(`http://127.0.0.1:${port}/api/v1/settings`)).body.includes('Codec')) return port;
    }
    throw new Error('the Temporal server serves no UI');
  }
});
