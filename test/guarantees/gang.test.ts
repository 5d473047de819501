import { afterAll, beforeAll, expect, test } from 'vitest';
import type { JobRow } from '../../model/job.ts';
import { World } from '../harness/world.ts';
import { Story, sorted, until } from './story.ts';

let world: World;
let story: Story;
beforeAll(async () => {
  world = await World.start();
  story = new Story(world, world.styx.clusters);
  await story.up('three', 'num_nodes: 3\nresources: {cpus: 1}\n');
});
afterAll(async () => {
  await story.down('three');
  await story.nothingLeft();
  await world.end();
});

/** A job on the cluster of three; a line of the ledger for every `say WORD` of its scripts. */
async function run(fields: string, script: string, setup?: string) {
  const ledger = world.ledger(`gang-${Math.random().toString(36).slice(2, 8)}`);
  const say = `say() { echo "$@" >> ${ledger.path}; }`;
  const block = (name: string, text: string) => `${name}: |\n${`${say}\n${text}`.replace(/^/gm, '  ')}\n`;
  const yaml = `${fields}${setup === undefined ? '' : block('setup', setup)}${block('run', script)}`;
  const answer = setup === undefined ? await story.exec('three', yaml) : await story.launch('three', yaml);
  return { id: answer.jobId ?? 0, lines: ledger.lines };
}

const THREE = 'num_nodes: 3\n';

async function logs(id: number): Promise<Map<number, string>> {
  const texts = new Map<number, string>();
  for await (const { rank, data } of world.styx.logs('three', { jobId: id, tail: 0 })) {
    texts.set(rank, (texts.get(rank) ?? '') + data.toString());
  }
  return texts;
}

test('runs setup on all nodes before any rank, and all ranks at once with their place in the environment', async () => {
  const { id, lines } = await run(
    THREE,
    `touch ${world.home}/began-$STYX_NODE_RANK; while [ "$(ls ${world.home}/began-* | wc -l)" -lt 3 ]; do sleep 0.1; done
     say run $SKYPILOT_NODE_RANK $STYX_NODE_RANK $SKYPILOT_NUM_NODES $STYX_NUM_NODES $SKYPILOT_NUM_GPUS_PER_NODE \\
       $(echo "$SKYPILOT_NODE_IPS" | wc -l) $([ "$SKYPILOT_NODE_IPS" = "$STYX_NODE_IPS" ] && echo same) $SKYPILOT_TASK_ID
     say ip $SKYPILOT_NODE_RANK $(echo $SKYPILOT_NODE_IPS)`,
    'say setup $SKYPILOT_SETUP_NODE_RANK "$SKYPILOT_NODE_RANK" $(echo "$SKYPILOT_SETUP_NODE_IPS" | wc -l); sleep 0.2',
  );
  const job = await story.jobEnds('three', id, 'SUCCEEDED');
  expect(job.exitCodes).toEqual([0, 0, 0]);
  const said = lines();
  const setups = said.slice(0, 3);
  expect(sorted(setups)).toEqual(['setup 0  3', 'setup 1  3', 'setup 2  3']);
  const runs = said.filter((line) => line.startsWith('run '));
  const taskIds = new Set(runs.map((line) => line.split(' ').at(-1)));
  expect(taskIds.size).toBe(1);
  expect([...taskIds][0]).toMatch(/three/);
  expect(sorted(runs.map((line) => line.split(' ').slice(0, -1).join(' ')))).toEqual(
    [0, 1, 2].map((rank) => `run ${rank} ${rank} 3 3 0 3 same`),
  );
  const { nodes } = await story.look('three');
  const ips = nodes.map((node) => node.internalAddress).join(' ');
  expect(new Set(nodes.map((node) => node.internalAddress)).size).toBe(3);
  expect(sorted(said.filter((line) => line.startsWith('ip ')))).toEqual([0, 1, 2].map((rank) => `ip ${rank} ${ips}`));
});

test('lets ranks find one another by SKYPILOT_NODE_IPS', async () => {
  const meet = `
import os, socket
ips = os.environ['SKYPILOT_NODE_IPS'].split('\\n')
rank = int(os.environ['SKYPILOT_NODE_RANK'])
if rank == 0:
    server = socket.create_server((ips[0], 29500))
    names = []
    while len(names) < 2:
        peer, _ = server.accept()
        names.append(peer.recv(99).decode())
        peer.sendall(b'welcome')
    print('met', *sorted(names), flush=True)
else:
    for attempt in range(100):
        try:
            peer = socket.create_connection((ips[0], 29500), source_address=(ips[rank], 0))
            break
        except ConnectionRefusedError:
            import time
            time.sleep(0.1)
    peer.sendall(b'rank%d' % rank)
    print(peer.recv(99).decode(), flush=True)
`;
  const { id } = await run(THREE, `python3 - <<'END'${meet}END`);
  await story.jobEnds('three', id, 'SUCCEEDED');
  const texts = await logs(id);
  expect([0, 1, 2].map((rank) => texts.get(rank)?.trim())).toEqual(['met rank1 rank2', 'welcome', 'welcome']);
});

test('ends the other ranks when one fails, and reports the exit code of every rank', async () => {
  const { id, lines } = await run(
    THREE,
    'if [ $STYX_NODE_RANK = 1 ]; then sleep 0.5; exit 7; fi; say began; setsid sleep 301 & sleep 301; say never',
  );
  const job = await story.jobEnds('three', id, 'FAILED');
  expect(job.exitCodes?.[1]).toBe(7);
  expect(job.reason).toContain('rank 1 exited with 7');
  for (const rank of [0, 2]) expect([137, 143]).toContain(job.exitCodes?.[rank]);
  expect(lines().filter((line) => line === 'never')).toEqual([]);
  expect(world.processesLeft().filter((text) => text.includes('sleep 301'))).toEqual([]);
});

test('a cancel ends all ranks, with children that called setsid and that ignore SIGTERM', async () => {
  const { id, lines } = await run(
    THREE,
    'say began; setsid sh -c \'trap "" TERM; sleep 302; sleep 302\' & sleep 302; say never',
  );
  await until('all began', () => lines().length === 3);
  await story.clusters.cancel('three', [id]);
  const job = await story.jobEnds('three', id, 'CANCELLED');
  expect(job.exitCodes).toHaveLength(3);
  await until('no process of it', () => world.processesLeft().every((text) => !text.includes('sleep 302')), 10_000);
  expect(lines()).toEqual(['began', 'began', 'began']);
});

test('a setup that fails on one node is FAILED_SETUP, and no rank runs', async () => {
  const { id, lines } = await run(THREE, 'say run', 'say setup; [ $SKYPILOT_SETUP_NODE_RANK != 2 ]; exit $?');
  const job = await story.jobEnds('three', id, 'FAILED_SETUP');
  expect(job.reason).toContain('rank 2 exited with 1');
  expect(job.exitCodes?.[2]).toBe(1);
  expect(lines().every((line) => line === 'setup')).toBe(true);
});

test('keeps the output of ranks apart, and gives one rank alone on request', async () => {
  const { id } = await run(THREE, 'echo from $STYX_NODE_RANK; echo error $STYX_NODE_RANK >&2');
  await story.jobEnds('three', id, 'SUCCEEDED');
  const texts = await logs(id);
  for (const rank of [0, 1, 2]) expect(texts.get(rank)).toBe(`from ${rank}\nerror ${rank}\n`);
  const one = [];
  for await (const piece of world.styx.logs('three', { jobId: id, rank: 1 })) one.push(piece.rank);
  expect(new Set(one)).toEqual(new Set([1]));
});

test('a job of the whole cluster waits in the queue, and only what cannot delay it passes', async () => {
  const demand = 'job_demand: {cpus: 1}\n';
  const long = await run(`${demand}max_duration: 60\n`, 'say go; sleep 3');
  await until('the first runs', () => long.lines().length === 1);
  const wide = await run(`${THREE}${demand}`, 'say wide');
  const endless = await run(demand, 'say endless');
  const short = await run(`${demand}max_duration: 5\n`, 'say short');
  const view = await story.look('three');
  const row = (job: { id: number }) => view.jobs.find(({ id }) => id === job.id) as JobRow;
  expect(row(wide).status).toBe('PENDING');
  expect(view.waits[String(wide.id)]).toContain('1 CPU');
  expect(row(endless).status).toBe('PENDING');
  expect(view.waits[String(endless.id)]).toContain(`delay job ${wide.id}`);
  const shortEnd = await story.jobEnds('three', short.id, 'SUCCEEDED');
  const wideEnd = await story.jobEnds('three', wide.id, 'SUCCEEDED');
  const endlessEnd = await story.jobEnds('three', endless.id, 'SUCCEEDED');
  expect(shortEnd.endedAt).toBeLessThan(wideEnd.startedAt ?? 0);
  expect(endlessEnd.startedAt).toBeGreaterThanOrEqual(wideEnd.startedAt ?? 0);
  await story.jobEnds('three', long.id, 'SUCCEEDED');
});

test('a job that runs longer than its max_duration is ended, FAILED with that reason', async () => {
  const { id, lines } = await run('max_duration: 1\n', 'say began; sleep 303; say never');
  const job = await story.jobEnds('three', id, 'FAILED');
  expect(job.reason).toContain('max_duration of 1 s');
  expect(lines()).toEqual(['began']);
  await until('no process of it', () => world.processesLeft().every((text) => !text.includes('sleep 303')), 10_000);
});
