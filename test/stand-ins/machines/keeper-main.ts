/**
 * keeper-main.ts EC2-URL DIRECTORY: machines for what EC2 says, in the network namespace that this is started in, and gone with this
 * process. Says its port in one line. Orders come as `POST /styx/<what>`:
 *   machines {}                          what there is
 *   manner {ssh, bootSeconds, memoryMB, shared, image}
 *                                      of all that boot from now on: `answers`, `never` or `other-key`
 *   freeze, thaw, cut, join, fill, empty {id}
 *   interrupt {id, seconds}              two minutes, unless it says less
 *   rebalance {id}
 */
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { z } from 'zod';
import { Keeper } from './keeper.ts';
import { USUAL } from './machine.ts';

const NOTICE_SECONDS = 120;
const one = z.strictObject({ id: z.string() });
const mannerSchema = z.strictObject({
  ssh: z.enum(['answers', 'never', 'other-key']).default(USUAL.ssh),
  bootSeconds: z.number().default(USUAL.bootSeconds),
  memoryMB: z.number().default(USUAL.memoryMB),
  shared: z.string().default(USUAL.shared),
  image: z.string().default(USUAL.image),
  ownDisks: z
    .array(z.string().regex(/^[\w-]+$/))
    .readonly()
    .default(USUAL.ownDisks),
});
const interruptSchema = z.strictObject({ id: z.string(), seconds: z.number().default(NOTICE_SECONDS) });

function orders(keeper: Keeper): Readonly<Record<string, (given: unknown) => unknown>> {
  const machine = (given: unknown) => keeper.machine(one.parse(given).id);
  return {
    machines: () => ({ machines: keeper.rows(), refused: keeper.refused }),
    manner: (given) => keeper.manner(mannerSchema.parse(given)),
    freeze: (given) => machine(given).freeze(true),
    thaw: (given) => machine(given).freeze(false),
    cut: (given) => machine(given).partition(true),
    join: (given) => machine(given).partition(false),
    fill: (given) => machine(given).fill(true),
    empty: (given) => machine(given).fill(false),
    interrupt: (given) => {
      const { id, seconds } = interruptSchema.parse(given);
      keeper.interrupt(id, seconds);
    },
    rebalance: (given) => keeper.rebalance(one.parse(given).id),
  };
}

const [, , ec2 = '', directory = ''] = process.argv;
const keeper = await Keeper.start(ec2, directory);
const known = orders(keeper);
const server = http.createServer((request, response) => {
  void (async () => {
    try {
      const what = /^\/styx\/([a-z]+)$/.exec(request.url ?? '')?.[1] ?? '';
      const order = Object.hasOwn(known, what) ? known[what] : undefined;
      if (order === undefined)
        throw new Error(`there is no order "${what}"; known are ${Object.keys(known).join(', ')}`);
      const answer = (await order(JSON.parse((await text(request)) || '{}'))) ?? {};
      response.end(JSON.stringify(answer));
    } catch (error) {
      response.writeHead(400);
      response.end((error as Error).message);
    }
  })();
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
console.log((server.address() as AddressInfo).port);
await keeper.follow();
