/** The files of `deploy/` as tests read them. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';

export const ROOT = join(import.meta.dirname, '..', '..');
export const read = (file: string) => readFileSync(join(ROOT, file), 'utf8');

const words = z.array(z.string());
const environment = z.record(z.string(), z.string()).default({});
const service = z.object({
  image: z.string(),
  user: z.string().optional(),
  entrypoint: words.optional(),
  command: words.optional(),
  environment,
  volumes: words.default([]),
  ports: words.default([]),
  restart: z.string(),
  healthcheck: z.object({ test: words }).optional(),
  deploy: z.object({ resources: z.object({ limits: z.object({ cpus: z.string(), memory: z.string() }) }) }),
});
export type Service = z.infer<typeof service>;

export function compose(): Record<string, Service> {
  const file = parse(read('deploy/docker-compose.yml'), { merge: true }) as { services: unknown };
  return z.record(z.string(), service).parse(file.services);
}

const variable = z.object({ name: z.string(), value: z.string().optional() });
const container = z.object({
  name: z.string(),
  image: z.string(),
  command: words.optional(),
  args: words.optional(),
  env: z.array(variable).default([]),
  ports: z.array(z.object({ containerPort: z.number() })).default([]),
  resources: z.object({ limits: z.object({ cpu: z.string(), memory: z.string() }) }),
  readinessProbe: z.unknown().optional(),
  volumeMounts: z.array(z.object({ mountPath: z.string() })).default([]),
});
export type Container = z.infer<typeof container>;
const workload = z.object({
  metadata: z.object({ name: z.string() }),
  spec: z.object({
    template: z.object({
      spec: z.object({
        securityContext: z.object({ runAsUser: z.number(), runAsNonRoot: z.literal(true) }),
        initContainers: z.array(container).default([]),
        containers: z.array(container),
      }),
    }),
  }),
});

/** Deployments and stateful sets, by name. */
export function workloads(): Record<string, { user: number; init: Container[]; containers: Container[] }> {
  const documents = readdirSync(join(ROOT, 'deploy/kubernetes'))
    .filter((name) => name.endsWith('.yaml') && name !== 'kustomization.yaml')
    .flatMap((name) => parseAllDocuments(read(`deploy/kubernetes/${name}`)))
    .map((document) => document.toJS() as { kind: string })
    .filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet')
    .map((document) => workload.parse(document));
  return Object.fromEntries(
    documents.map(({ metadata, spec: { template } }) => {
      const { securityContext, initContainers, containers } = template.spec;
      return [metadata.name, { user: securityContext.runAsUser, init: initContainers, containers }];
    }),
  );
}

export function variables({ env }: Container): Record<string, string> {
  return Object.fromEntries(env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])));
}
