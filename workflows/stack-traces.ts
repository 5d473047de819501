/**
 * The SDK takes a stack trace for every promise of a workflow and looks each frame up in the source map. Without a cache every task
 * replays its workflow from the start, so that this was a sixth of a worker's CPU; what is left still says where an error came from.
 */
Error.stackTraceLimit = 4;

export {};
