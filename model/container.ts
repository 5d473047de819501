/** The container that a task's machines run it in, of its `image_id: docker:IMAGE`, and who may fetch that image. Plain JSON. */
import { z } from 'zod';
import type { ResourceRequest } from './machines.ts';
import type { SecretBox } from './secret-box.ts';
import type { Images } from './spec/machine-fields.ts';

export interface WantedContainer {
  /** As Docker names it, without `docker:`. */
  readonly image: string;
  /** Of a private registry, by the names of REGISTRY_VARIABLES; absent: whoever asks gets the image. */
  readonly login?: Readonly<Record<string, SecretBox>>;
}

/** What a task says of its registry, among its secrets or its variables. SkyPilot's names. */
export const REGISTRY_VARIABLES = {
  server: 'SKYPILOT_DOCKER_SERVER',
  username: 'SKYPILOT_DOCKER_USERNAME',
  password: 'SKYPILOT_DOCKER_PASSWORD',
} as const;

const NAMES: readonly string[] = Object.values(REGISTRY_VARIABLES);
const PREFIX = 'docker:';

/** Images of containers among those of a task, each once. */
export function containerImages({ docker, images }: Images): readonly string[] {
  const named = images.filter(({ image }) => image.startsWith(PREFIX)).map(({ image }) => image.slice(PREFIX.length));
  return [...new Set(docker === null ? named : [docker, ...named])];
}

/** Those of machines. */
export function machineImages({ images }: Images): Images['images'] {
  return images.filter(({ image }) => !image.startsWith(PREFIX));
}

/** Why these variables and secrets log in nowhere; null when they do, or when none is given. */
export function registryProblem(values: Readonly<Record<string, string>>): string | null {
  const lacking = NAMES.filter((name) => (values[name] ?? '') === '');
  if (lacking.length === 0 || lacking.length === NAMES.length) return null;
  return `${lacking.join(' and ')} must be given too: a registry is logged in to with ${NAMES.join(', ')}`;
}

/** What of a task's secrets and variables logs in to its registry, by name; empty: nothing. */
export function registryValues(values: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(NAMES.flatMap((name) => (values[name] ? [[name, values[name]]] : [])));
}

/** The request with the closed login of its container's registry; unchanged when it asks for no container, or none is given. */
export function withRegistryLogin(
  resources: ResourceRequest,
  login: Readonly<Record<string, SecretBox>>,
): ResourceRequest {
  const container = resources.wants?.container;
  if (container === undefined || Object.keys(login).length === 0) return resources;
  return { ...resources, wants: { ...resources.wants, container: { ...container, login } } };
}

/** Of a boundary. A function: workflow sandboxes freeze what a module exports. */
export function wantedContainerSchema(): z.ZodType<WantedContainer> {
  return z.object({
    image: z.string().min(1).max(1_024),
    login: z.record(z.string().max(256), z.object({ $secret: z.string(), box: z.string() })).exactOptional(),
  });
}
