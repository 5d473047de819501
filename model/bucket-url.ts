/** A place in a bucket: `s3://BUCKET/PREFIX`. */

/** What a bucket is spoken to by; `clouds/registry.ts` knows how. */
export const BUCKET_SCHEMES = ['s3'] as const;
export type BucketScheme = (typeof BUCKET_SCHEMES)[number];

export interface BucketPlace {
  readonly scheme: BucketScheme;
  readonly bucket: string;
  /** Without a slash at either end; empty: the bucket itself. */
  readonly prefix: string;
}

const URL = /^([a-z0-9+]+):\/\/([^/?#]+)(?:\/([^?#]*))?$/;
const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$/;
const PREFIX = /^[A-Za-z0-9!_.*'()=-]+(?:\/[A-Za-z0-9!_.*'()=-]+)*$/;
const MAX_PREFIX = 500;

/** A slash at the end is no part of it. `problem`: why it is none, to be read after the text itself. */
export function parseBucketUrl(text: string): { place: BucketPlace; problem: null } | { place: null; problem: string } {
  const bad = (problem: string) => ({ place: null, problem });
  const [, scheme = '', bucket = '', path = ''] = URL.exec(text) ?? [];
  const known = BUCKET_SCHEMES.find((one) => one === scheme);
  if (known === undefined)
    return bad(`is not of the form ${BUCKET_SCHEMES.map((one) => `${one}://BUCKET/PREFIX`).join(' or ')}`);
  if (!BUCKET.test(bucket)) return bad(`has no name of a bucket after "${known}://"`);
  const prefix = path.endsWith('/') ? path.slice(0, -1) : path;
  const steps = prefix.split('/');
  if (
    prefix !== '' &&
    (!PREFIX.test(prefix) || prefix.length > MAX_PREFIX || steps.includes('.') || steps.includes('..'))
  )
    return bad('has a prefix with more than letters, digits and plain signs between single slashes');
  return { place: { scheme: known, bucket, prefix }, problem: null };
}
