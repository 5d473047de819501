import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BETWEEN_CLOUDS_ONLY, LIST_PRICES, placeOfUri } from '../../optimizer/egress.ts';
import { holds } from '../model/holds.ts';

const at = (infra: string) => {
  const [cloud = '', region = null] = infra.split('/');
  return { cloud, region };
};
const cost = (from: string, to: string, gigabytes: number) => LIST_PRICES.cost(at(from), at(to), gigabytes);

describe('between clouds', () => {
  test('each part of a transfer is paid at the price of its step', () => {
    expect(cost('aws', 'gcp', 100)).toBeCloseTo(9, 9);
    expect(cost('aws', 'gcp', 11 * 1024)).toBeCloseTo(10 * 1024 * 0.09 + 1024 * 0.085, 9);
    expect(cost('gcp', 'aws', 2 * 1024)).toBeCloseTo(1024 * 0.12 + 1024 * 0.11, 9);
    expect(cost('oci', 'aws', 10 * 1024)).toBe(0);
    expect(cost('oci', 'aws', 11 * 1024)).toBeCloseTo(1024 * 0.0085, 9);
  });

  test('the sender pays, and clouds without a price for it pay nothing', () => {
    expect(cost('lambda', 'aws', 1000)).toBe(0);
    expect(cost('aws', 'lambda', 1000)).toBeCloseTo(90, 9);
  });

  test('more data never costs less', () => {
    const law = fc.property(
      fc.constantFrom('aws', 'gcp', 'azure', 'oci', 'ibm'),
      fc.double({ min: 0, max: 1e6, noNaN: true }),
      fc.double({ min: 0, max: 1e5, noNaN: true }),
      (cloud, gigabytes, more) => {
        expect(cost(cloud, 'lambda', gigabytes + more)).toBeGreaterThanOrEqual(cost(cloud, 'lambda', gigabytes));
      },
    );
    holds(law, 500);
  });
});

test('within a cloud it costs nothing in a region, little between near ones, more between far ones', () => {
  expect(cost('aws/us-east-1', 'aws/us-east-1', 100)).toBe(0);
  expect(cost('aws/us-east-1', 'aws/us-east-2', 100)).toBeCloseTo(1, 9);
  expect(cost('aws/us-east-1', 'aws/us-west-2', 100)).toBeCloseTo(2, 9);
  expect(cost('aws/sa-east-1', 'aws/us-east-1', 100)).toBeCloseTo(13.8, 9);
  expect(cost('gcp/us-central1', 'gcp/northamerica-northeast1', 100)).toBeCloseTo(2, 9);
  expect(cost('gcp/us-central1', 'gcp/europe-west4', 100)).toBeCloseTo(5, 9);
  expect(cost('gcp/us-central1', 'gcp/asia-east1', 100)).toBeCloseTo(8, 9);
  expect(cost('azure/eastus', 'azure/westus2', 100)).toBeCloseTo(2, 9);
  expect(cost('azure/eastus', 'azure/westeurope', 100)).toBeCloseTo(5, 9);
  expect(cost('azure/japaneast', 'azure/eastus', 100)).toBeCloseTo(8, 9);
  expect(BETWEEN_CLOUDS_ONLY.cost(at('aws/us-east-1'), at('aws/us-west-2'), 100)).toBe(0);
  expect(BETWEEN_CLOUDS_ONLY.cost(at('aws/us-east-1'), at('gcp/us-east1'), 100)).toBeCloseTo(9, 9);
});

test('data whose region is not known is in reach of its whole cloud', () => {
  expect(cost('aws', 'aws/us-west-2', 100)).toBe(0);
});

test('the way takes 10 Gbit/s between clouds and no time within one', () => {
  expect(LIST_PRICES.seconds(at('aws'), at('gcp'), 100)).toBe(80);
  expect(LIST_PRICES.seconds(at('aws/us-east-1'), at('aws/us-west-2'), 100)).toBe(0);
});

test('addresses of stores say which cloud they are in, others nothing', () => {
  expect(placeOfUri('s3://bucket/key')).toEqual({ cloud: 'aws', region: null });
  expect(placeOfUri('gs://bucket')).toEqual({ cloud: 'gcp', region: null });
  expect(placeOfUri('https://me.blob.core.windows.net/box')).toEqual({ cloud: 'azure', region: null });
  expect(placeOfUri('cos://us-south/bucket')).toEqual({ cloud: 'ibm', region: 'us-south' });
  expect(placeOfUri('https://example.com/file')).toBeNull();
  expect(placeOfUri('data')).toBeNull();
});
