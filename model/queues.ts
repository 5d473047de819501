/** The task queues. Watches have slots of their own: 150 of them on a default worker's 100 slots stop everything else. */
export const WORKFLOW_QUEUE = 'styx';
export const ACTIVITY_QUEUE = 'styx-act';
export const WATCH_QUEUE = 'styx-watch';
export const WATCH_SLOTS = 2_000;
