/**
 * The task queues. Clusters, which answer commands and views, do not wait behind the workflows that they start. Watches have slots of
 * their own: 150 of them on a default worker's 100 slots stop everything else.
 */
export const CLUSTER_QUEUE = 'styx';
export const CHILD_QUEUE = 'styx-work';
export const ACTIVITY_QUEUE = 'styx-act';
export const WATCH_QUEUE = 'styx-watch';
/** Of those that are told of jobs, whose answers may take long. */
export const NOTICE_QUEUE = 'styx-notices';
export const WATCH_SLOTS = 2_000;
