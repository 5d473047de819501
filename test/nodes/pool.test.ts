import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type AgentBundle, agentBundle } from '../../nodes/bundle.ts';
import { loginKey } from '../../nodes/keys.ts';
import type { AgentEvent, Node, StartRequest } from '../../nodes/node.ts';
import { SshNodePool } from '../../nodes/pool.ts';
import { startTestNode, type TestNode, until } from './ssh-server.ts';

const FAST = { connectTimeout: 3_000, keepaliveInterval: 200, keepaliveCount: 3 };

let machine: TestNode;
let pool: SshNodePool;

beforeEach(async () => {
  machine = await startTestNode();
  pool = new SshNodePool({ timing: FAST });
});

afterEach(async () => {
  await pool.close();
  await machine.close();
});

function job(jobKey: string, script: string, more: Partial<StartRequest> = {}): StartRequest {
  return { jobKey, phase: 'run', rank: 0, script, env: {}, owner: 'workflow', ...more };
}

async function exitOf(node: Node, jobKey: string): Promise<AgentEvent & { type: 'exited' }> {
  const stop = new AbortController();
  try {
    for await (const event of node.events(0, stop.signal)) {
      if (event.type === 'exited' && event.process.jobKey === jobKey) return event;
    }
  } finally {
    stop.abort();
  }
  throw new Error('the events ended');
}

async function logOf(node: Node, jobKey: string, offset = 0): Promise<string> {
  const chunks: Buffer[] = [];
  const request = { jobKey, phase: 'run', rank: 0, from: { offset }, follow: true } as const;
  for await (const chunk of node.logs(request, new AbortController().signal)) chunks.push(chunk.data);
  return Buffer.concat(chunks).toString();
}

describe('the agent on a node', () => {
  test('is put there at first contact, runs a job, and reports log and exit', async () => {
    const node = await pool.node(machine.address);
    const state = await node.start(job('1.1', 'echo "hello $NAME"; pwd; exit 3', { env: { NAME: 'world' } }));
    expect(state).toMatchObject({ jobKey: '1.1', state: 'running', exitCode: null, owner: 'workflow' });
    expect(await logOf(node, '1.1')).toBe(`hello world\n${machine.home}/sky_workdir\n`);
    expect((await exitOf(node, '1.1')).process).toMatchObject({
      state: 'exited',
      exitCode: 3,
      lost: false,
      cancelled: false,
    });
  });

  test('is found in one session when all is in place', async () => {
    await pool.node(machine.address);
    machine.drop();
    const before = machine.commands.length;
    await until(
      'the drop is seen',
      async () => (await (await pool.node(machine.address)).stats().catch(() => null)) !== null,
    );
    expect(machine.commands.length - before).toBe(1);
  });

  test('is shared by everybody who asks at once', async () => {
    const nodes = await Promise.all(Array.from({ length: 10 }, () => pool.node(machine.address)));
    expect(new Set(nodes).size).toBe(1);
    expect(machine.logins()).toBe(1);
  });

  test('starts a job once when two clients ask at once, with the agent not yet there', async () => {
    const other = new SshNodePool({ timing: FAST });
    try {
      const request = job('1.1', 'echo x >> ~/ledger; sleep 0.2');
      const states = await Promise.all(
        [pool, other].flatMap((one) =>
          Array.from({ length: 10 }, async () => (await one.node(machine.address)).start(request)),
        ),
      );
      expect(new Set(states.map((state) => state.startedAt)).size).toBe(1);
      await exitOf(await pool.node(machine.address), '1.1');
      expect(readFileSync(join(machine.home, 'ledger'), 'utf8')).toBe('x\n');
    } finally {
      await other.close();
    }
  });

  function anotherVersion(): AgentBundle {
    const text = JSON.parse(agentBundle().payload.toString()) as Record<string, string>;
    const payload = Buffer.from(JSON.stringify({ ...text, 'extra.py': '# another version\n' }));
    return { version: createHash('sha256').update(payload).digest('hex').slice(0, 16), payload };
  }

  test('of another version is left alone by who only reads', async () => {
    const older = new SshNodePool({ timing: FAST, bundle: anotherVersion() });
    const reader = new SshNodePool({ timing: FAST, anyAgent: true });
    try {
      const owner = await older.node(machine.address);
      await owner.start(job('1.1', 'echo read me'));
      const node = await reader.node(machine.address);
      expect(node.agentVersion).toBe(owner.agentVersion);
      expect(await logOf(node, '1.1')).toBe('read me\n');
      expect((await owner.stats()).running).toBe(0);
    } finally {
      await reader.close();
      await older.close();
    }
  });

  test('of another version is replaced while its job runs on and is adopted', async () => {
    const bundle = anotherVersion();
    const older = new SshNodePool({ timing: FAST, bundle });
    const before = await older.node(machine.address);
    expect(before.agentVersion).toBe(bundle.version);
    await before.start(job('1.1', 'sleep 3; echo done; exit 5'));
    const after = await pool.node(machine.address);
    expect(after.agentVersion).toBe(agentBundle().version);
    expect(await after.processes('1.1')).toMatchObject([{ state: 'running' }]);
    await expect(before.stats()).rejects.toMatchObject({ kind: 'unreachable' });
    expect((await exitOf(after, '1.1')).process).toMatchObject({ exitCode: 5, lost: false });
    await older.close();
  });

  test('is adopted anew after kill -9, with its jobs, events and logs', async () => {
    const node = await pool.node(machine.address);
    await node.start(job('1.1', 'exit 1'));
    const first = await exitOf(node, '1.1');
    await node.start(job('1.2', 'for i in 1 2 3 4 5 6; do echo $i; sleep 0.2; done; exit 4'));
    process.kill(machine.daemon() ?? 0, 'SIGKILL');
    await until('the loss is seen', async () => (await node.stats().catch((error) => error)).kind === 'unreachable');
    const next = await pool.node(machine.address);
    const second = await exitOf(next, '1.2');
    expect(second.process).toMatchObject({ exitCode: 4, lost: false });
    expect(second.seq).toBe(first.seq + 1);
    expect(await logOf(next, '1.2')).toBe('1\n2\n3\n4\n5\n6\n');
  });

  test('says clearly that a node has no python3', async () => {
    const tools = join(machine.home, 'bin');
    mkdirSync(tools);
    for (const name of ['sh', 'env', 'cat']) symlinkSync(`/bin/${name}`, join(tools, name));
    const bare = await startTestNode({ path: tools });
    try {
      await expect(pool.node(bare.address)).rejects.toMatchObject({
        kind: 'invalid',
        message: expect.stringContaining('no python3 of version 3.8'),
      });
    } finally {
      await bare.close();
    }
  });

  test('says clearly that the python3 of a node is too old', async () => {
    const tools = join(machine.home, 'bin');
    mkdirSync(tools);
    for (const name of ['sh', 'env', 'cat']) symlinkSync(`/bin/${name}`, join(tools, name));
    // Stands for an interpreter of 2016: runs everything under another version number.
    const real = (await pool.exec(machine.address, ['python3', '-c', 'import sys; print(sys.executable)'])).stdout
      .toString()
      .trim();
    const old = [
      'import sys',
      'sys.version_info = (3, 6, 9)',
      'words = [word for word in sys.argv[1:] if word not in ("-I", "-S")]',
      'code = words[1] if words[0] == "-c" else open(words[0]).read()',
      'sys.argv = words[1:] if words[0] == "-c" else words',
      'exec(code)',
    ].join('\n');
    writeFileSync(join(tools, 'python3'), `#!/bin/sh\nexec ${real} -c '${old}' "$@"\n`, { mode: 0o755 });
    const dated = await startTestNode({ path: tools });
    try {
      await expect(pool.node(dated.address)).rejects.toMatchObject({
        kind: 'invalid',
        message: expect.stringContaining('no python3 of version 3.8'),
      });
    } finally {
      await dated.close();
    }
  });

  test('is reached past what the start files of the login shell print', async () => {
    const talkative = await startTestNode({ rc: 'echo welcome; echo {}; ' });
    try {
      expect((await (await pool.node(talkative.address)).stats()).running).toBe(0);
    } finally {
      await talkative.close();
    }
  });
});

describe('logs', () => {
  test('resume by offset after a dropped connection without loss or repeat', async () => {
    const node = await pool.node(machine.address);
    await node.start(job('1.1', 'for i in $(seq 1 4000); do echo "line $i"; [ $((i % 400)) = 0 ] && sleep 0.1; done'));
    let text = '';
    let offset = 0;
    let drops = 0;
    for (;;) {
      try {
        const current = await pool.node(machine.address);
        const request = { jobKey: '1.1', phase: 'run', rank: 0, from: { offset }, follow: true } as const;
        for await (const chunk of current.logs(request, new AbortController().signal)) {
          expect(chunk.offset).toBe(offset);
          text += chunk.data.toString();
          offset += chunk.data.length;
          if (drops < 3 && text.length > (drops + 1) * 5_000) {
            drops += 1;
            machine.drop();
          }
        }
        break;
      } catch (error) {
        expect(error).toMatchObject({ kind: 'unreachable' });
      }
    }
    expect(drops).toBe(3);
    expect(text).toBe(Array.from({ length: 4000 }, (_, at) => `line ${at + 1}\n`).join(''));
  });

  test('of 100 MB pass whole with bounded memory here and in the agent, and do not hold up events', async () => {
    const node = await pool.node(machine.address);
    const size = 100 * 1024 * 1024;
    await node.start(job('1.1', `head -c ${size} /dev/zero`));
    await exitOf(node, '1.1');
    let read = 0;
    let peak = 0;
    let overtaken = false;
    const start = process.memoryUsage().rss;
    const request = { jobKey: '1.1', phase: 'run', rank: 0, from: { offset: 0 }, follow: true } as const;
    for await (const chunk of node.logs(request, new AbortController().signal)) {
      read += chunk.data.length;
      peak = Math.max(peak, process.memoryUsage().rss);
      if (!overtaken && read > 1024 * 1024) {
        // A reader that stops reading its log still hears of everything else.
        await node.start(job('1.2', 'exit 9'));
        expect((await exitOf(node, '1.2')).process.exitCode).toBe(9);
        overtaken = true;
      }
    }
    expect(read).toBe(size);
    expect(peak - start).toBeLessThan(150 * 1024 * 1024);
    const status = readFileSync(`/proc/${machine.daemon()}/status`, 'utf8');
    expect(Number(/VmHWM:\s+(\d+)/.exec(status)?.[1])).toBeLessThan(30 * 1024);
  }, 60_000);

  test('begin at the last lines when asked so', async () => {
    const node = await pool.node(machine.address);
    await node.start(job('1.1', 'seq 1 50000; printf unfinished'));
    await exitOf(node, '1.1');
    const tail = async (lastLines: number) => {
      let text = '';
      const request = { jobKey: '1.1', phase: 'run', rank: 0, from: { lastLines }, follow: false } as const;
      for await (const chunk of node.logs(request, new AbortController().signal)) text += chunk.data.toString();
      return text;
    };
    expect(await tail(3)).toBe('49999\n50000\nunfinished');
    expect((await tail(20_001)).split('\n')[0]).toBe('30001');
    expect(await tail(0)).toBe('');
    expect((await tail(100_000)).slice(0, 4)).toBe('1\n2\n');
  });
});

describe('a connection', () => {
  test('is refused to a host that proves another key, and nothing is sent to it', async () => {
    const foreign = { ...machine.address, hostKey: loginKey(Buffer.alloc(32, 7), 'other').publicKey };
    await expect(pool.node(foreign)).rejects.toMatchObject({
      kind: 'unreachable',
      message: expect.stringContaining('another key'),
    });
    expect(machine.logins()).toBe(0);
    expect(machine.commands).toEqual([]);
  });

  test('without a pin reports the key of first contact and holds the host to it', async () => {
    const node = await pool.node({ ...machine.address, hostKey: null });
    expect(machine.address.hostKey).toContain(node.hostKey);
    await expect(
      pool.node({ ...machine.address, hostKey: loginKey(Buffer.alloc(32, 7), 'other').publicKey }),
    ).rejects.toThrow('another key');
  });

  test('with a key that the host does not know is unreachable', async () => {
    const stranger = { ...machine.address, privateKey: loginKey(Buffer.alloc(32, 7), 'stranger').privateKey };
    await expect(pool.node(stranger)).rejects.toMatchObject({
      kind: 'unreachable',
      message: expect.stringContaining('refused our key'),
    });
  });

  test('to a node that vanished in the middle of calls fails them all as unreachable within the keepalive time', async () => {
    const node = await pool.node(machine.address);
    await node.start(job('1.1', 'sleep 30'));
    machine.freeze();
    const began = Date.now();
    const results = await Promise.allSettled([node.stats(), node.contact(), logOf(node, '1.1'), exitOf(node, '1.1')]);
    // Not by the timeout of a request, which is 30 s.
    expect(Date.now() - began).toBeLessThan(20_000);
    for (const result of results) expect(result).toMatchObject({ status: 'rejected', reason: { kind: 'unreachable' } });
    await expect(pool.node(machine.address)).rejects.toMatchObject({ kind: 'unreachable' });
  });

  test('to a port that nobody listens on is unreachable', async () => {
    await expect(pool.node({ ...machine.address, port: 1 })).rejects.toMatchObject({ kind: 'unreachable' });
  });

  test('is given up waiting for when the signal aborts', async () => {
    machine.freeze();
    await expect(pool.node(machine.address, AbortSignal.timeout(100))).rejects.toMatchObject({ name: 'TimeoutError' });
  });

  test('is joined by another one for the ninth session, and when the server refuses a session', async () => {
    const run = (count: number) =>
      Promise.all(Array.from({ length: count }, () => pool.exec(machine.address, ['sh', '-c', 'sleep 0.3; echo ok'])));
    await pool.node(machine.address);
    expect((await run(12)).map((result) => result.stdout.toString())).toEqual(Array(12).fill('ok\n'));
    expect(machine.logins()).toBe(2);
    machine.maxSessions = 3;
    expect((await run(8)).map((result) => result.code)).toEqual(Array(8).fill(0));
  });

  test('that nobody uses is closed after a while and opened again for the next call', async () => {
    await pool.close();
    pool = new SshNodePool({ timing: FAST, idleAfter: 200 });
    const node = await pool.node(machine.address);
    await until('it is closed', async () => {
      const failure = await Promise.race([
        node.contact().then(
          () => null,
          (error) => error,
        ),
        new Promise((go) => setTimeout(go, 1)),
      ]);
      await new Promise((resolve) => setTimeout(resolve, 600));
      return failure;
    });
    await (await pool.node(machine.address)).contact();
    expect(machine.logins()).toBe(2);
  });

  test('carries programs with exact arguments, stdin and exit codes', async () => {
    const words = ['a b', "it's", '$(touch x)', 'line\nbreak', '', 'ünïcödé', '*', '`id`', '\\', '"'];
    const result = await pool.exec(machine.address, ['printf', '[%s]', ...words]);
    expect(result.stdout.toString()).toBe(words.map((word) => `[${word}]`).join(''));
    const echoed = await pool.exec(machine.address, ['sh', '-c', 'cat; echo wrong >&2; exit 7'], {
      stdin: Buffer.from([0, 1, 255]),
    });
    expect(echoed).toMatchObject({ code: 7, stdout: Buffer.from([0, 1, 255]), stderr: Buffer.from('wrong\n') });
  });

  test('carries a local port to one of the node', async () => {
    const echo = createServer((socket) => socket.pipe(socket));
    await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve));
    const tunnel = await pool.forward(machine.address, 0, '127.0.0.1', (echo.address() as { port: number }).port);
    const socket = connect((tunnel.address() as { port: number }).port, '127.0.0.1');
    socket.write('through');
    const answer = await new Promise<Buffer>((resolve) => socket.once('data', resolve));
    expect(answer.toString()).toBe('through');
    socket.destroy();
    tunnel.close();
    echo.close();
  });
});

test('a try to connect ends when the address says, however patient the pool is', async () => {
  const silent = createServer(() => {});
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as { port: number };
  const patient = new SshNodePool({ timing: { ...FAST, connectTimeout: 60_000 } });
  const started = performance.now();
  const reached = patient.node({ ...machine.address, port, connectTimeout: 300 });
  await expect(reached).rejects.toMatchObject({ kind: 'unreachable' });
  expect(performance.now() - started).toBeLessThan(10_000);
  await patient.close();
  silent.close();
});

test('hostile names and values are refused or passed as they are, never executed', async () => {
  const node = await pool.node(machine.address);
  const values = [
    '$(touch ~/owned)',
    '`touch ~/owned`',
    "'; touch ~/owned; '",
    'a\nb',
    '"',
    '\\',
    'ü😀',
    '$' + '{HOME}',
    '!!',
    "'",
  ];
  const env = Object.fromEntries(values.map((value, at) => [`V${at}`, value]));
  await node.start(
    job(
      '1.1',
      `python3 -c 'import os,json; print(json.dumps([os.environ["V%d" % i] for i in range(${values.length})]))'`,
      { env },
    ),
  );
  expect(JSON.parse(await logOf(node, '1.1'))).toEqual(values);
  for (const name of ['A;touch ~/owned', '$(touch ~/owned)', 'A B', '', '1A', "x'y", 'A\nB', 'a=b', 'UID', 'A\0']) {
    await expect(node.start(job('1.2', 'true', { env: { [name]: 'x' } }))).rejects.toMatchObject({ kind: 'invalid' });
  }
  await expect(node.start(job('1.2', 'true', { env: { A: 'x\0y' } }))).rejects.toMatchObject({ kind: 'invalid' });
  for (const key of ['../x', 'a b', '$(touch ~/owned)', '', '..', 'a\n']) {
    await expect(node.start(job(key, 'true'))).rejects.toMatchObject({ kind: 'invalid' });
  }
  expect(await node.processes('1.2')).toEqual([]);
  expect(existsSync(join(machine.home, 'owned'))).toBe(false);
  expect(readdirSync(join(machine.home, 'sky_workdir'))).toEqual([]);
});
