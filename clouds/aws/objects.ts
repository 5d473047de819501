/** A bucket of S3, or of a server that speaks as it does and keeps conditions of writes. Whoever made it gives the rights to it. */
import type { GetObjectCommandOutput, S3Client } from '@aws-sdk/client-s3';
import type { ListedObject, ObjectStore, StoredObject } from '../../data/object-store.ts';
import type { BucketPlace } from '../../model/bucket-url.ts';
import { StyxError } from '../../model/errors.ts';
import { Credentials } from './credentials.ts';
import { classify, codeOf } from './errors.ts';

/** Where none is said, neither by the environment nor by a profile: from there S3 says where a bucket is. */
const DEFAULT_REGION = 'us-east-1';
const REQUEST_MS = 20_000;
/** Tries of one call, by the SDK. */
const TRIES = 4;

const RIGHTS_HINT =
  'It takes the rights s3:ListBucket on it, and s3:GetObject, s3:PutObject and s3:DeleteObject on what is in it.';

type Sdk = typeof import('@aws-sdk/client-s3');

export class S3Bucket implements ObjectStore {
  readonly #sdk: Sdk;
  readonly #client: S3Client;
  readonly #credentials: Credentials;
  readonly #place: BucketPlace;

  private constructor(sdk: Sdk, client: S3Client, credentials: Credentials, place: BucketPlace) {
    this.#sdk = sdk;
    this.#client = client;
    this.#credentials = credentials;
    this.#place = place;
  }

  /** Asks nobody. `endpoint`: of another server than AWS's. */
  static async open(place: BucketPlace, endpoint: string | null): Promise<S3Bucket> {
    const sdk = await import('@aws-sdk/client-s3');
    const credentials = new Credentials();
    const client = new sdk.S3Client({
      credentials: credentials.provider,
      maxAttempts: TRIES,
      requestHandler: { connectionTimeout: 5_000, requestTimeout: REQUEST_MS, throwOnRequestTimeout: true },
      followRegionRedirects: true,
      // Other servers than AWS's know no newer ones.
      requestChecksumCalculation: 'WHEN_REQUIRED',
      responseChecksumValidation: 'WHEN_REQUIRED',
      ...(endpoint === null ? {} : { endpoint, forcePathStyle: true }),
    });
    const given = client.config.region;
    client.config.region = () => given().catch(() => DEFAULT_REGION);
    return new S3Bucket(sdk, client, credentials, place);
  }

  async get(key: string, from = 0): Promise<StoredObject | null> {
    const range = from === 0 ? {} : { Range: `bytes=${from}-` };
    const command = new this.#sdk.GetObjectCommand({ ...this.#object(key), ...range });
    const whole = async (): Promise<StoredObject> => {
      const { Body, ETag } = (await this.#client.send(command)) as GetObjectCommandOutput;
      return { data: Buffer.from((await Body?.transformToByteArray()) ?? []), version: ETag ?? '' };
    };
    return await this.#asked(whole, ['NoSuchKey']);
  }

  async put(key: string, data: Buffer, before?: string | null): Promise<string | null> {
    const condition = before === undefined ? {} : before === null ? { IfNoneMatch: '*' } : { IfMatch: before };
    const command = new this.#sdk.PutObjectCommand({ ...this.#object(key), Body: data, ...condition });
    // A conflict: somebody else writes right now. Of what is gone the condition is not met either.
    const refused = ['PreconditionFailed', 'ConditionalRequestConflict', 'NoSuchKey'];
    return await this.#asked(async () => (await this.#client.send(command)).ETag ?? '', refused);
  }

  async *list(prefix: string): AsyncGenerator<ListedObject, void, void> {
    const { bucket: Bucket } = this.#place;
    const root = this.#key('');
    let next: string | undefined;
    do {
      const page = next === undefined ? {} : { ContinuationToken: next };
      const command = new this.#sdk.ListObjectsV2Command({ Bucket, Prefix: `${root}${prefix}`, ...page });
      const answer = await this.#asked(() => this.#client.send(command), []);
      for (const { Key = '', Size = 0, LastModified } of answer?.Contents ?? []) {
        yield { key: Key.slice(root.length), size: Size, changedAt: LastModified?.getTime() ?? 0 };
      }
      next = answer?.NextContinuationToken;
    } while (next !== undefined);
  }

  async remove(key: string): Promise<void> {
    const command = new this.#sdk.DeleteObjectCommand(this.#object(key));
    await this.#asked(() => this.#client.send(command), ['NoSuchKey']);
  }

  #object(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#place.bucket, Key: this.#key(key) };
  }

  #key(key: string): string {
    const { prefix } = this.#place;
    return prefix === '' ? key : `${prefix}/${key}`;
  }

  /** Null for an answer that says one of `no`. */
  async #asked<T>(call: () => Promise<T>, no: readonly string[]): Promise<T | null> {
    try {
      return await call();
    } catch (error) {
      if (no.includes(codeOf(error))) return null;
      const { kind, message, hint: said } = classify(error);
      if (kind === 'auth') this.#credentials.forget();
      const { bucket } = this.#place;
      const hint = codeOf(error) === 'AccessDenied' ? RIGHTS_HINT : said;
      throw new StyxError(kind, `bucket ${bucket}: ${message}`, {
        cause: error,
        ...(hint === undefined ? {} : { hint }),
      });
    }
  }
}
