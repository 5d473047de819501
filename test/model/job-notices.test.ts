/** Who gets which notice of a managed job, whatever the order in which things become known. */
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  addNotice,
  type JobNotices,
  learnReceivers,
  NO_NOTICES,
  type NoticeReceiver,
  noticeDone,
  sendable,
} from '../../model/job-notices.ts';
import { MANAGED_STATUSES, type ManagedStatus } from '../../model/managed-job.ts';
import { holds } from './holds.ts';

const statuses = fc.subarray([...MANAGED_STATUSES]);
const receivers = fc
  .array(statuses, { maxLength: 4 })
  .map((lists) => lists.map((list, index): NoticeReceiver => ({ key: `r${index}`, statuses: list })));
const changes = fc.array(fc.constantFrom(...MANAGED_STATUSES), { maxLength: 30 });

function change(status: ManagedStatus, previous: ManagedStatus | null) {
  return { at: 0, status, previous, reason: '', try: 1, recoveries: 0, cluster: null, infra: null, cost: 0 };
}

test('each receiver gets the states that it wants, all of them and in order, wherever it becomes known and however sending goes', () => {
  const law = fc.property(
    receivers,
    changes,
    fc.nat(30),
    fc.infiniteStream(fc.nat(3)),
    (who, happened, known, rolls) => {
      let notices: JobNotices = NO_NOTICES;
      const busy = new Map<string, number>();
      const got = new Map<string, number[]>(who.map(({ key }) => [key, []]));
      const roll = () => rolls.next().value ?? 0;
      const send = () => {
        for (const { key, notice } of sendable(notices, new Set(busy.keys()))) busy.set(key, notice.seq);
        for (const [key, seq] of [...busy]) {
          if (roll() > 1) continue;
          busy.delete(key);
          got.get(key)?.push(seq);
          notices = noticeDone(notices, seq, key);
        }
      };
      happened.forEach((status, index) => {
        if (index === known) notices = learnReceivers(notices, who);
        notices = addNotice(notices, change(status, happened[index - 1] ?? null));
        expect(notices.receivers === null ? sendable(notices, new Set()) : []).toEqual([]);
        send();
      });
      if (notices.receivers === null) notices = learnReceivers(notices, who);
      for (let turn = 0; notices.pending.length > 0 && turn < 10_000; turn++) send();
      expect(notices.pending).toEqual([]);
      for (const { key, statuses: wanted } of who) {
        const due = happened.flatMap((status, index) => (wanted.includes(status) ? [index + 1] : []));
        expect(got.get(key)).toEqual(due);
      }
    },
  );
  holds(law, 300);
});

test('what waits for receivers is bounded: the oldest goes', () => {
  let notices: JobNotices = NO_NOTICES;
  for (let index = 0; index < 250; index++) notices = addNotice(notices, change('RUNNING', null));
  expect(notices.pending).toHaveLength(100);
  expect(notices.pending[0]?.seq).toBe(151);
});
