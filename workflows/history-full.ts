/** Is it time for a workflow to continue as new? */
import { workflowInfo } from '@temporalio/workflow';
import type { Timing } from '../model/timing.ts';

export function isHistoryFull({ historyEvents }: Pick<Timing, 'historyEvents'>): boolean {
  const { continueAsNewSuggested, historyLength } = workflowInfo();
  return continueAsNewSuggested || historyLength >= historyEvents;
}
