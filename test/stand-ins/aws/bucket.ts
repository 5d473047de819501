/** Makes a bucket in the account of a stand-in, past its faults. */
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import type { Account } from './account.ts';

export async function makeBucket(account: Account, name: string): Promise<void> {
  const client = new S3Client({
    region: 'us-east-1',
    endpoint: account.direct,
    forcePathStyle: true,
    credentials: { accessKeyId: 'AKIASTANDIN', secretAccessKey: 'none' },
  });
  await client.send(new CreateBucketCommand({ Bucket: name }));
  client.destroy();
}
