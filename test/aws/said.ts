/** What jobs on machines of AWS's stand-in say to the test: a server of it on their network, since they share no disk with anybody. */
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { text } from 'node:stream/consumers';
import { expect } from 'vitest';

/** Of this process, on the network of the machines. */
const HERE = '172.31.0.1';

/** With the time at which it came. */
export class Said {
  lines: { readonly text: string; readonly at: number }[] = [];
  private readonly server: Server;

  private constructor(server: Server) {
    this.server = server;
  }

  static async listen(): Promise<Said> {
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      void text(socket).then(
        (line) => said.lines.push({ text: line.trim(), at: Date.now() }),
        () => undefined,
      );
    });
    const said = new Said(server);
    server.listen(0, HERE);
    await once(server, 'listening');
    return said;
  }

  /** Shell for a line. */
  say(line: string): string {
    return `echo ${line} >/dev/tcp/${HERE}/${(this.server.address() as AddressInfo).port}`;
  }

  count(line: string): number {
    return this.lines.filter((one) => one.text === line).length;
  }

  /** No try said a word after the next one had begun. */
  oneAtATime(): void {
    const tries = this.tries();
    for (const [index, { first }] of tries.entries()) {
      if (index > 0) expect(first).toBeGreaterThan(tries[index - 1]?.last ?? 0);
    }
  }

  /** First and last word of each try, in order. */
  private tries(): { first: number; last: number }[] {
    const byTry = Map.groupBy(this.lines, (one) => Number(/ (\d+)$/.exec(one.text)?.[1]));
    return [...byTry]
      .toSorted(([a], [b]) => a - b)
      .map(([, lines]) => ({ first: lines[0]?.at ?? 0, last: lines.at(-1)?.at ?? 0 }));
  }

  close(): void {
    this.server.close();
  }
}
