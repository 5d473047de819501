/** Where Styx differs from SkyPilot's parser on purpose; docs/task-yaml.md lists the same for users. */
import type { TaskProblem } from '../../model/task-error.ts';

interface RefusedHere {
  readonly why: string;
  covers(problem: TaskProblem): boolean;
}

const refused = (why: string, path: RegExp, message: RegExp): RefusedHere => ({
  why,
  covers: (problem) => path.test(problem.path) && message.test(problem.message),
});

const BELOW = '(?:(?:any_of|ordered)\\.\\d+\\.)?';

/** Accepted there. Every problem of such a file must be one of these. */
export const REFUSED_HERE: readonly RefusedHere[] = [
  refused('dates in maps that are passed on', /^config\./, /not a date/),
  refused('secrets without a name', /^(?:managed_)?secrets\./, /^must name a secret$/),
  refused('fields of a storage object that is a volume', /^file_mounts\..*\.[a-z_]+$/, /^unknown field/),
  refused(
    'words that become the default there, with a warning',
    /(?:^resources\..*volumes|^file_mounts)\..*\.(?:storage_type|attach_mode|disk_tier)$/,
    /^must be/,
  ),
  refused('an empty source, which is the working directory there', /^file_mounts\./, /^must name a file or directory$/),
  refused(
    'fields of a volume that are not looked at there',
    /^volumes\./,
    /^(?:unknown field|cannot be given together with)/,
  ),
  refused('values of a volume that fail later there', /^volumes\.[^.]*\./, /^must be/),
  refused(
    'fields of a disk of GCP that are not looked at there',
    new RegExp(`^resources\\.${BELOW}volumes\\.`),
    /^unknown field/,
  ),
  refused('an empty workdir, which is the working directory there', /^workdir$/, /^must be a directory$/),
  refused(
    "fields of a storage object's config that are not looked at there",
    /^file_mounts\..*\.config\./,
    /^unknown field/,
  ),
  refused('a config of a volume that is no map', /^file_mounts\..*\.config$/, /^must be a map/),
  refused('negative times', /^(?:service|pool)\..*(?:seconds|timeout)$/, /^must be a number from 0/),
  refused('negative replicas', /^service\.replicas$/, /^must be a whole number from 0/),
  refused(
    'lists and maps as text, which are Python there',
    /^(?:envs|secrets)\./,
    /^must be text, not a (?:list|map)$/,
  ),
  refused('secrets that no variable can hold', /^secrets\./, /cannot be the name of an environment variable$/),
  refused(
    'machines and accelerators without a name',
    /^resources\./,
    /is not (?:a name of a place or machine|the name of an accelerator)$|^must be such as A100/,
  ),
  refused('headers of groups that are warned of there', /^[a-z_]+$/, /^unknown field/),
  refused('keys of a service that hold nothing', /^service\./, /^unknown field/),
];

interface MoreHere {
  readonly why: string;
  covers(error: string, text: string): boolean;
}

const more = (why: string, error: RegExp, text = /^/): MoreHere => ({
  why,
  covers: (said, file) => error.test(said) && text.test(file),
});

/** Rejected there. */
export const MORE_HERE: readonly MoreHere[] = [
  more(
    'a probe that holds nothing, which crashes there',
    /'NoneType' object is not subscriptable/,
    /readiness_probe: null/,
  ),
  more('sizes of disks of GCP with units, which crash there', /doesn't define __round__/),
  more(
    'variables that hold nothing, though all other fields may',
    /'NoneType' object has no attribute 'items'/,
    /^envs: null$/m,
  ),
  more(
    'the parser changes a disk that alternatives share, and then refuses it',
    /<DiskTier\.\w+: .*> is not of type 'string'/,
  ),
  more(
    'inputs and outputs that hold nothing, though all other fields may',
    /Invalid task args: dict_keys\(\['(?:inputs|outputs)/,
  ),
  more("regions of IBM, which are its catalogue's", /region missing\/invalid in IBM COS URI/),
  more('text that looks like a date', /is not of type '(?:string|str)'|datetime/, /2024-01-01/),
];

type Json = Record<string, unknown>;

/** Their values with what the documents promise in place of what the parser does. */
export function withChoices(value: unknown, text: string): unknown {
  if (Array.isArray(value)) return value.map((item) => withChoices(item, text));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, held]) => {
    if (key === 'autostop' && (held as Json).idle_minutes === 0 && !saysZero(held as Json, text)) {
      return [key, { ...(held as Json), idle_minutes: 5 }];
    }
    // A field that holds nothing is absent, there as well, but for this one.
    if (key === 'api' && held === false && /^api_server_access: null$/m.test(text)) return [key, true];
    // On Kubernetes an image is that of a container, there as well, but not where a TPU is what says that it is Kubernetes.
    if (key === 'image_id' && ofGke(value as Json)) return [key, containers(held as Json)];
    return [key, withChoices(held, text)];
  });
  return Object.fromEntries(entries);
}

/** Only a written 0 of the generator comes with `wait_for`. */
function saysZero(autostop: Json, text: string): boolean {
  return /idle_minutes"?: 0/.test(text) && autostop.wait_for !== undefined;
}

function ofGke({ infra, accelerators }: Json): boolean {
  return (
    infra === 'kubernetes' &&
    Object.keys((accelerators as Json | undefined) ?? {}).some((name) => /^tpu-v4-podslice/.test(name))
  );
}

function containers(images: Json): Json {
  const container = (name: string, image: unknown) =>
    name === 'docker' || String(image).startsWith('docker:') ? image : `docker:${image}`;
  return Object.fromEntries(Object.entries(images).map(([name, image]) => [name, container(name, image)]));
}
