import type { Try } from './cluster.ts';
import { spanText } from './duration.ts';

/** `aws/us-east-1/us-east-1a m5.large [spot] after 1.8s: there is no room`. */
export function tryText({ cloud, region, zone, instanceType, useSpot, took, failure }: Try): string {
  const place = [cloud, region, zone].filter((part) => part !== '').join('/');
  const spot = useSpot === true ? ' [spot]' : '';
  const after = took === undefined ? '' : ` after ${spanText(took)}`;
  return `${place} ${instanceType}${spot}${after}: ${failure.message}`;
}
