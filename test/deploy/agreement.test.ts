/** What stands in the files of deploy/ is what the code takes, and what stands in two of them is the same in both. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Command } from 'commander';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { configure } from '../../cli/commands/server.ts';
import { environmentConfig, startsWorkers } from '../../workers/connection.ts';
import { workerCommand } from '../../workers/worker-command.ts';
import { TEMPORAL_VERSION } from '../harness/production-programs.ts';
import { compose, ROOT, read, variables, workloads } from './files.ts';

const services = compose();
const pods = workloads();
const dockerfile = read('deploy/Dockerfile');
const manifest = JSON.parse(read('package.json')) as { version: string; dependencies: Record<string, string> };
const temporal = read('deploy/temporal/styx.yaml');

function service(name: string) {
  const found = services[name];
  if (found === undefined) throw new Error(`no service ${name}`);
  return found;
}

function container(pod: string, name: string) {
  const found = [...(pods[pod]?.init ?? []), ...(pods[pod]?.containers ?? [])].find((one) => one.name === name);
  if (found === undefined) throw new Error(`no container ${name} in ${pod}`);
  return found;
}

/** Image and container of each service of the compose file. */
const PAIRS = {
  postgres: ['postgres', 'postgres'],
  schema: ['temporal', 'schema'],
  temporal: ['temporal', 'temporal'],
  setup: ['worker', 'setup'],
  worker: ['worker', 'worker'],
  ui: ['ui', 'ui'],
} as const;

test('every service of the compose file has its container in Kubernetes, but the one that makes certificates', () => {
  expect(Object.keys(services).toSorted()).toEqual(['certificates', ...Object.keys(PAIRS)].toSorted());
  const containers = Object.entries(pods).flatMap(([pod, { init, containers: own }]) =>
    [...init, ...own].map(({ name }) => `${pod}/${name}`),
  );
  expect(containers.toSorted()).toEqual(
    Object.values(PAIRS)
      .map(([pod, name]) => `${pod}/${name}`)
      .toSorted(),
  );
});

describe.each(Object.entries(PAIRS))('%s', (name, [pod, inPod]) => {
  test('has the same image in both', () => {
    const tags = parse(read('deploy/kubernetes/kustomization.yaml')) as { images: { name: string; newTag: string }[] };
    const image = container(pod, inPod).image;
    const tag = tags.images.find((one) => one.name === image)?.newTag;
    expect(`${image}:${tag}`).toBe(service(name).image);
  });

  test('has the same variables in both, but what Kubernetes alone needs', () => {
    const { PGDATA: _, ...inKubernetes } = variables(container(pod, inPod));
    expect(inKubernetes).toEqual(service(name).environment);
  });

  test('has the same command in both', () => {
    const { command, args } = container(pod, inPod);
    const { entrypoint, command: composed } = service(name);
    expect([...(command ?? []), ...(args ?? [])]).toEqual([...(entrypoint ?? []), ...(composed ?? [])]);
  });

  test('is limited in both, and says when it is of use if it stays', () => {
    expect(service(name).deploy.resources.limits.memory).toMatch(/^\d+[MG]$/);
    expect(container(pod, inPod).resources.limits.memory).toMatch(/^\d+[MG]i$/);
    if (['schema', 'setup'].includes(name)) expect(service(name).restart).toBe('on-failure');
    else expect(container(pod, inPod).readinessProbe, name).toBeDefined();
    if (['postgres', 'temporal', 'worker'].includes(name)) expect(service(name).healthcheck).toBeDefined();
  });

  test('names certificates of the role that its user can read', () => {
    const owners = Object.fromEntries(
      (service('certificates').environment.OWNERS ?? '').split(' ').map((pair) => pair.split('=') as [string, string]),
    );
    const said = [...Object.values(service(name).environment), ...(service(name).command ?? [])];
    const roles = new Set(said.flatMap((value) => /^\/certificates\/(\w+)/.exec(value)?.[1] ?? []));
    if (name === 'postgres') {
      const settings = read('deploy/postgres/postgresql.conf');
      for (const [, role = ''] of settings.matchAll(/\/certificates\/(\w+)\//g)) roles.add(role);
    }
    expect([...roles]).toHaveLength(1);
    const [role = ''] = roles;
    expect(owners[role]).toBe(String(pods[pod]?.user));
    expect(read('deploy/certificates.sh')).toMatch(new RegExp(`set -- .*\\b${role}\\b`));
    const mounts = container(pod, inPod).volumeMounts.map(({ mountPath }) => mountPath);
    expect(mounts).toContain(`/certificates/${role}`);
  });

  test('mounts files that are there', () => {
    const bound = service(name)
      .volumes.map((volume) => volume.split(':')[0] ?? '')
      .filter((path) => path.startsWith('.'));
    expect(bound.filter((path) => !existsSync(join(ROOT, 'deploy', path)))).toEqual([]);
  });
});

describe('the image of Styx', () => {
  const stages = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);

  test('has the Node that package.json pins, in both stages', () => {
    const image = `node:${manifest.dependencies.node}-bookworm-slim`;
    expect(stages).toEqual([image, image]);
  });

  test('runs what starts a worker here, as the user to whom its key belongs', () => {
    const [line] = /^CMD (.*)$/m.exec(dockerfile)?.slice(1) ?? [];
    const here = pathToFileURL(ROOT).href;
    const command = workerCommand(join(ROOT, 'workers', 'main.ts'), '--ready-file', '/run/styx/ready')
      .map((word) => word.replace(here, 'file:///opt/styx').replace(`${ROOT}/`, '/opt/styx/'))
      .with(0, 'node');
    expect(JSON.parse(line ?? '')).toEqual(command);
    const user = /^USER (\d+)$/m.exec(dockerfile)?.[1];
    expect(user).toBe(String(pods.worker?.user));
    expect(dockerfile).toContain(`useradd --uid ${user} `);
  });

  test('is named after this version', () => {
    for (const name of ['certificates', 'setup', 'worker'])
      expect(service(name).image).toBe(`styx:${manifest.version}`);
  });

  test('is asked whether its worker polls where the worker says so', () => {
    expect(service('worker').healthcheck?.test.at(-1)).toBe('/run/styx/ready');
    expect(read('deploy/kubernetes/worker.yaml')).toContain('exec: { command: [test, -s, /run/styx/ready] }');
  });
});

describe('the clients of Temporal', () => {
  test.each(['setup', 'worker'])('%s finds the server, with its certificates', async (name) => {
    const { environment } = service(name);
    const files = {
      TEMPORAL_TLS_SERVER_CA_CERT: 'ca',
      TEMPORAL_TLS_CLIENT_CERT: 'cert',
      TEMPORAL_TLS_CLIENT_KEY: 'key',
    };
    const env: Record<string, string> = { TEMPORAL_CONFIG_FILE: '/nonexistent/temporal.toml', ...environment };
    // The files are in the container; that they are asked for by these names is what is tested.
    for (const [variable, text] of Object.entries(files)) {
      expect(env[`${variable}_PATH`]).toMatch(/^\/certificates\/worker\/(ca\.crt|tls\.crt|tls\.key)$/);
      delete env[`${variable}_PATH`];
      env[`${variable}_DATA`] = text;
    }
    const config = await environmentConfig(env);
    expect(config).toMatchObject({ namespace: 'styx', codec: 'required' });
    expect(config?.connectionOptions).toMatchObject({
      address: 'temporal:7233',
      tls: {
        serverRootCACertificate: new TextEncoder().encode('ca'),
        clientCertPair: { crt: new TextEncoder().encode('cert'), key: new TextEncoder().encode('key') },
      },
    });
    expect(startsWorkers(environment)).toBe(false);
  });

  test('set up runs a command that there is', () => {
    const [styx, server, ...args] = service('setup').command ?? [];
    expect([styx, server]).toEqual(['styx', 'server']);
    let days: unknown;
    const command = new Command('server').exitOverride();
    configure(command);
    const setup = command.commands.find((one) => one.name() === 'setup');
    setup?.exitOverride().action((options: { retention: number }) => {
      days = options.retention;
    });
    command.parse(args, { from: 'user' });
    expect(days).toBe(30);
  });
});

describe('Temporal', () => {
  test('is of the version that the tests run', () => {
    expect(service('temporal').image).toBe(`temporalio/server:${TEMPORAL_VERSION}`);
    expect(service('schema').image).toMatch(new RegExp(`^temporalio/admin-tools:${TEMPORAL_VERSION}-`));
  });

  test('reads every variable that it is given, and is given what has no default', () => {
    const read = new Set([...temporal.matchAll(/env "(\w+)"/g)].map(([, name]) => name));
    const required = new Set([...temporal.matchAll(/env "(\w+)" }}/g)].map(([, name]) => name));
    const given = Object.keys(service('temporal').environment);
    expect(given.filter((name) => !read.has(name))).toEqual([]);
    expect([...required].filter((name) => !given.includes(name ?? ''))).toEqual([]);
  });

  test('listens at the ports that are asked for, and Kubernetes names them all', () => {
    const ports = [...temporal.matchAll(/(?:grpcPort|membershipPort): (\d+)/g)].map(([, port]) => Number(port));
    expect(ports).toHaveLength(8);
    // PostgreSQL keeps ports of members in two bytes with a sign.
    expect(Math.max(...ports)).toBeLessThan(32_768);
    expect(
      container('temporal', 'temporal')
        .ports.map(({ containerPort }) => containerPort)
        .toSorted(),
    ).toEqual(ports.toSorted());
    const frontend = /frontend:\n\s+rpc:\n\s+grpcPort: (\d+)/.exec(temporal)?.[1];
    expect(service('temporal').healthcheck?.test.at(-1)).toBe(frontend);
    expect(service('temporal').ports).toEqual([`127.0.0.1:${frontend}:${frontend}`]);
    for (const name of ['setup', 'worker', 'ui']) {
      expect(service(name).environment.TEMPORAL_ADDRESS).toBe(`temporal:${frontend}`);
    }
  });
});

test('docs/operating.md speaks to services that there are', () => {
  const lines = read('docs/operating.md').match(/^docker compose .*$/gm) ?? [];
  const named = lines.flatMap((line) => {
    const [, verb, rest = ''] = /^docker compose -f deploy\/docker-compose\.yml (\w+)(.*)/.exec(line) ?? [];
    const names = rest.split(' ').filter((word) => word !== '' && !word.startsWith('-'));
    if (verb === 'exec') return names.slice(0, 1);
    return verb === 'stop' ? names : [];
  });
  expect(named.length).toBeGreaterThan(5);
  expect(named.filter((name) => !(name in services))).toEqual([]);
});

test('nothing can be reached from other machines as it stands', () => {
  for (const { ports } of Object.values(services)) {
    for (const port of ports) expect(port).toMatch(/^127\.0\.0\.1:/);
  }
});
