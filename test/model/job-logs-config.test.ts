import { expect, test } from 'vitest';
import { parseBucketUrl } from '../../model/bucket-url.ts';
import { resolveConfig } from '../../model/config/config.ts';
import { ConfigError, type ConfigProblem } from '../../model/config/error.ts';
import { type ConfigLayer, fileLayer } from '../../model/config/layers.ts';

function layer(text: string, name = '~/.styx/config.yaml'): ConfigLayer {
  const problems: ConfigProblem[] = [];
  const read = fileLayer(text, { name, kind: 'styx' }, problems);
  if (read === null) throw new ConfigError(problems);
  return read;
}

function fault(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return expect.fail('it was taken');
}

const logs = (said: string) => layer(`jobs: {logs: {${said}}}`);

test('a place in a bucket is a bucket and a prefix, with a slash at its end or without', () => {
  const place = (bucket: string, prefix: string) => ({ place: { scheme: 's3', bucket, prefix }, problem: null });
  expect(parseBucketUrl('s3://bucket')).toEqual(place('bucket', ''));
  expect(parseBucketUrl('s3://bucket/')).toEqual(place('bucket', ''));
  expect(parseBucketUrl('s3://my.bucket-1/of/jobs')).toEqual(place('my.bucket-1', 'of/jobs'));
  expect(parseBucketUrl('s3://my.bucket-1/of/jobs/')).toEqual(place('my.bucket-1', 'of/jobs'));
});

test('what is no place in a bucket is refused with its line and the reason', () => {
  for (const [url, reason] of [
    ['bucket/x', 'is not of the form s3://BUCKET/PREFIX'],
    ['gs://bucket/x', 'is not of the form s3://BUCKET/PREFIX'],
    ['s3://bucket/x?endpoint=http://h', 'is not of the form s3://BUCKET/PREFIX'],
    ['s3://-/x', 'has no name of a bucket after "s3://"'],
    ['s3://bucket//x', 'has a prefix with more than letters, digits and plain signs between single slashes'],
    ['s3://bucket/a/../b', 'has a prefix with more than letters, digits and plain signs between single slashes'],
  ] as const) {
    const told = fault(() => logs(`store: '${url}'`));
    expect(told).toContain('~/.styx/config.yaml:1');
    expect(told).toContain(`jobs.logs.store: "${url}" ${reason}`);
  }
});

test('the server of a bucket is an address and nothing more', () => {
  const told = fault(() => logs("store: 's3://bucket', endpoint: 'minio:9000'"));
  expect(told).toContain('jobs.logs.endpoint: must be the address of a server');
  const { config } = resolveConfig([logs("store: 's3://bucket/x', endpoint: 'http://minio:9000'")]);
  expect(config).toMatchObject({ jobLogsStore: 's3://bucket/x', jobLogsEndpoint: 'http://minio:9000' });
});

test('a directory and a bucket together, or a server without a bucket, are refused, of two files too', () => {
  const bucket = logs("store: 's3://bucket/x'");
  const directory = layer('jobs:\n  logs:\n    directory: /var/logs\n', 'below.yaml');
  expect(fault(() => resolveConfig([directory, bucket]))).toContain(
    'jobs.logs.store: cannot be there together with jobs.logs.directory (below.yaml)',
  );
  const server = layer("jobs:\n  logs:\n    endpoint: 'http://minio:9000'\n");
  const told = fault(() => resolveConfig([server]));
  expect(told).toContain('~/.styx/config.yaml:3');
  expect(told).toContain('jobs.logs.endpoint: means something together with jobs.logs.store alone');
});
