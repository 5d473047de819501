/** The clouds there are, by name. A new one is a folder and a line here. */
import type { ObjectStore } from '../data/object-store.ts';
import { type BucketPlace, type BucketScheme, parseBucketUrl } from '../model/bucket-url.ts';
import { StyxError } from '../model/errors.ts';
import type { Cloud } from './cloud.ts';
import { hostLogPath } from './local/paths.ts';

const CLOUDS: Readonly<Record<string, () => Promise<Cloud>>> = {
  local: async () => new (await import('./local/local.ts')).LocalCloud(),
  aws: async () => new (await import('./aws/aws.ts')).AwsCloud(),
};

/** Where what stands for machines on this one writes its log; there may be no such file. */
export function hostLog(home: string): string {
  return hostLogPath(home);
}

const BUCKETS: Readonly<Record<BucketScheme, (place: BucketPlace, endpoint: string | null) => Promise<ObjectStore>>> = {
  s3: async (place, endpoint) => (await import('./aws/objects.ts')).S3Bucket.open(place, endpoint),
};

const opened = new Map<string, Promise<ObjectStore>>();

/** What stands in a bucket below a prefix. One object each and process. `endpoint`: its server; null: the provider's. @throws invalid */
export function objectStore(url: string, endpoint: string | null): Promise<ObjectStore> {
  const { place, problem } = parseBucketUrl(url);
  if (place === null) throw new StyxError('invalid', `${url} ${problem}`);
  const key = `${url} ${endpoint ?? ''}`;
  const known = opened.get(key);
  if (known !== undefined) return known;
  const store = BUCKETS[place.scheme](place, endpoint);
  opened.set(key, store);
  store.catch(() => opened.delete(key));
  return store;
}

const made = new Map<string, Promise<Cloud>>();

export function cloudNames(): string[] {
  return Object.keys(CLOUDS);
}

/** One object a cloud and process, made on first use. @throws invalid for a name that is no cloud's */
export function cloudNamed(name: string): Promise<Cloud> {
  const make = Object.hasOwn(CLOUDS, name) ? CLOUDS[name] : undefined;
  if (make === undefined) {
    throw new StyxError('invalid', `there is no cloud "${name}"; known are ${cloudNames().join(', ')}`);
  }
  const known = made.get(name);
  if (known !== undefined) return known;
  const cloud = make();
  made.set(name, cloud);
  cloud.catch(() => made.delete(name));
  return cloud;
}
