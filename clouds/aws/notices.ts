/** Where a spot machine hears that it is taken back: its metadata, by tokens (IMDSv2). AWS asks to look every 5 seconds. */
import type { NoticeSource } from '../../model/machine-notices.ts';

const METADATA = 'http://169.254.169.254/latest';
const TOKEN = 'X-aws-ec2-metadata-token';

export const SPOT_NOTICES: NoticeSource = {
  every: 5_000,
  token: { url: `${METADATA}/api/token`, ask: { [`${TOKEN}-ttl-seconds`]: '21600' }, header: TOKEN },
  // There two minutes ahead.
  interruption: { url: `${METADATA}/meta-data/spot/instance-action`, time: 'time' },
  rebalance: { url: `${METADATA}/meta-data/events/recommendations/rebalance`, time: 'noticeTime' },
};
