/** `jobs.logs`: where the output of managed jobs is kept, and how much of it. */
import { parseBucketUrl } from '../bucket-url.ts';
import { doc, FieldError, field, shown } from '../spec/field.ts';
import { text as textOf, wholeField } from '../spec/values.ts';
import { ConfigError } from './error.ts';
import { section, text } from './forms.ts';
import type { Setting } from './merge.ts';

const bucket = field({ type: 'string' }, (value) => {
  const url = textOf(value);
  const { problem } = parseBucketUrl(url);
  if (problem !== null) throw new FieldError(`${shown(url)} ${problem}`);
  return url;
});

const endpoint = field({ type: 'string' }, (value) => {
  const url = textOf(value);
  if (!/^https?:\/\/[^/?#@\s]+\/?$/.test(url))
    throw new FieldError(
      `must be the address of a server, such as "https://minio.example.com:9000", not ${shown(url)}`,
    );
  return url;
});

export const jobLogFields = section({
  directory: doc(
    text,
    'where the worker keeps them and `styx jobs logs` reads them, from the data directory on',
    '`job-logs`',
  ),
  store: doc(bucket, 'a bucket in place of that: `s3://BUCKET/PREFIX`, for this installation alone'),
  endpoint: doc(endpoint, 'the server of that bucket, where it is not of AWS: `https://HOST:PORT`'),
  keep: doc(wholeField(0), "days after a job's last word until its output is removed; 0: never", '30'),
  max_mb: doc(
    wholeField(2),
    'most that is kept of each rank and phase of a try, in MB; of more than that, the middle is left out',
    '100',
  ),
});

export interface JobLogPlace {
  readonly jobLogsDirectory: string | null;
  readonly jobLogsStore: string | null;
  readonly jobLogsEndpoint: string | null;
}

/** @throws ConfigError when files together say two places, or half of one */
export function jobLogPlace(settings: readonly Setting[]): JobLogPlace {
  const said = (key: string) => {
    const found = settings.find(({ path }) => path.join('.') === `jobs.logs.${key}`);
    return typeof found?.value === 'string' ? { ...found, value: found.value } : null;
  };
  const [directory, store, server] = [said('directory'), said('store'), said('endpoint')];
  if (directory !== null && store !== null)
    refuse(store, `cannot be there together with jobs.logs.directory (${directory.source.name})`);
  if (server !== null && store === null) refuse(server, 'means something together with jobs.logs.store alone');
  return {
    jobLogsDirectory: directory?.value ?? null,
    jobLogsStore: store?.value ?? null,
    jobLogsEndpoint: server?.value ?? null,
  };
}

function refuse({ path, source, line }: Setting, message: string): never {
  const file = source.kind === 'option' ? null : source.name;
  throw new ConfigError([{ file, line, column: null, path: path.join('.'), message }]);
}
