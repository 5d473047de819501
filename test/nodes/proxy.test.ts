/** Nodes that only a command of the user's leads to: another name for them is nobody's, and what breaks is told with its words. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { SshNodePool } from '../../nodes/pool.ts';
import { filledIn } from '../../nodes/proxy.ts';
import { startTestNode, type TestNode, until } from './ssh-server.ts';

const TIMING = { connectTimeout: 20_000, keepaliveInterval: 5_000, keepaliveCount: 3 };
/** Known by nobody but the command. */
const HIDDEN = 'node.behind.the.jump';

let machine: TestNode;
let pool: SshNodePool | undefined;
let command: string | null;

/** A relay that notes whom it was asked for. */
function relay(to: string): string {
  const file = join(machine.home, 'relay.py');
  writeFileSync(
    file,
    `import os, socket, sys, threading
open(os.path.join(os.path.dirname(__file__), "asked"), "a").write(" ".join(sys.argv[1:]) + " %d\\n" % os.getpid())
s = socket.create_connection(("127.0.0.1", ${to}))
def up():
    while True:
        data = os.read(0, 65536)
        if not data: break
        s.sendall(data)
    s.shutdown(socket.SHUT_WR)
threading.Thread(target=up, daemon=True).start()
while True:
    data = s.recv(65536)
    if not data: break
    os.write(1, data)
`,
  );
  return `python3 ${file} %h %p %r`;
}

beforeEach(async () => {
  machine = await startTestNode();
  command = null;
  pool = new SshNodePool({ timing: TIMING, proxyOf: async (place) => (place === 'aws/us-east-1' ? command : null) });
});

afterEach(async () => {
  await pool?.close();
  await machine.close();
});

async function asked(): Promise<string[]> {
  const { readFileSync } = await import('node:fs');
  return readFileSync(join(machine.home, 'asked'), 'utf8').trim().split('\n');
}

function lives(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

test('a node is reached through the command, with its host key checked as ever, and the command ends with the connection', async () => {
  command = relay(String(machine.address.port));
  const behind = { ...machine.address, host: HIDDEN, port: 2222, via: 'aws/us-east-1' };
  const { stdout } =
    (await pool?.exec(behind, ['sh', '-c', 'cat; echo reached'], { stdin: Buffer.alloc(300_000, 'x') })) ?? {};
  expect(stdout?.toString()).toMatch(/^x{300000}reached\n$/);
  const node = await pool?.node(behind);
  expect(node?.hostKey).toBe(machine.address.hostKey);
  const [line = ''] = await asked();
  expect(line).toMatch(new RegExp(`^${HIDDEN} 2222 ${machine.address.user} \\d+$`));
  const pid = Number(line.split(' ').at(-1));
  expect(lives(pid)).toBe(true);
  await pool?.close();
  await until('the command has ended', () => !lives(pid));
  const other = await startTestNode();
  try {
    const second = new SshNodePool({ timing: TIMING, proxyOf: async () => command });
    const { hostKey } = other.address;
    await expect(second.exec({ ...behind, hostKey }, ['true'])).rejects.toMatchObject({
      kind: 'unreachable',
      message: expect.stringContaining('another key'),
    });
    await second.close();
  } finally {
    await other.close();
  }
});

test('without the command it is not reached, and one that fails is told with what it said', async () => {
  const behind = { ...machine.address, host: HIDDEN, via: 'aws/us-east-1' };
  await expect(pool?.exec(behind, ['true'])).rejects.toMatchObject({ kind: 'unreachable' });
  command = "sh -c 'echo the jump host is closed today >&2; exit 3'";
  await expect(pool?.exec(behind, ['true'])).rejects.toMatchObject({
    kind: 'unreachable',
    message: expect.stringContaining('ssh_proxy_command said: the jump host is closed today'),
  });
  // As it is when the connection is made: nothing has to be launched anew.
  command = relay(String(machine.address.port));
  expect((await pool?.exec(behind, ['echo', 'healed']))?.stdout.toString()).toBe('healed\n');
});

test('tokens are those of OpenSSH, and nothing of an address is read by the shell', () => {
  const to = { host: '10.0.0.7', port: 22, user: 'ubuntu' };
  expect(filledIn('ssh -W %h:%p -l %r %n %% %x', to)).toBe('ssh -W 10.0.0.7:22 -l ubuntu 10.0.0.7 % %x');
  fc.assert(
    fc.property(fc.string(), (host) => {
      let text: string;
      try {
        text = filledIn('%h', { ...to, host });
      } catch (error) {
        expect(error).toMatchObject({ kind: 'invalid' });
        return;
      }
      expect(text).toMatch(/^[\w.:@-]*$/);
    }),
  );
  for (const host of ['$(reboot)', '-oProxyCommand=x', 'a b', 'a;b']) {
    expect(() => filledIn('%h', { ...to, host })).toThrow('ssh_proxy_command');
  }
});
