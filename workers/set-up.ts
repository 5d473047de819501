/** `styx server setup`: makes the namespace of a Temporal server fit for Styx, once, before its first worker. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import { ERROR_POLICIES, StyxError } from '../model/errors.ts';
import { environmentConfig } from './connection.ts';
import { ensureNamespace, ensureRegistered, isSearchable } from './namespace.ts';

export interface SetUpOptions {
  readonly retentionDays: number;
  readonly env?: NodeJS.ProcessEnv;
  /** What is being waited for. */
  readonly onProgress?: (text: string) => void;
  /** How long to wait for the server, and for it to know what was registered. Default 3 minutes. */
  readonly budgetMs?: number;
}

export interface SetUp {
  readonly address: string;
  readonly namespace: string;
  /** The namespace's UUID. */
  readonly installation: string;
  readonly retentionDays: number;
}

const BUDGET_MS = 3 * 60_000;
const PAUSE_MS = 500;
/** UNAUTHENTICATED and PERMISSION_DENIED do not get better by waiting. */
const FINAL_CODES = new Set([7, 16]);

/**
 * Registers the namespace, its retention and the search attributes, and returns when workflows can use them. Safe to repeat.
 * @throws invalid when the environment names no server, auth when it may not, unreachable when the server does not answer in time
 */
export async function setUpNamespace(options: SetUpOptions): Promise<SetUp> {
  const { retentionDays, onProgress = () => {} } = options;
  const config = await environmentConfig(options.env);
  if (config === null) {
    throw new StyxError('invalid', 'no Temporal server is named, and the embedded one needs no setup', {
      hint: 'Set TEMPORAL_ADDRESS, and TEMPORAL_NAMESPACE and TEMPORAL_TLS_* as they are for the server.',
    });
  }
  const { connectionOptions, namespace } = config;
  const { address } = connectionOptions;
  const deadline = Date.now() + (options.budgetMs ?? BUDGET_MS);
  const attempt = async () => {
    const connection = await Connection.connect({ ...connectionOptions, connectTimeout: 5_000 });
    try {
      await ensureRegistered(connection, namespace, retentionDays);
      const { installation } = await ensureNamespace(connection, namespace, false);
      if (!(await isSearchable(connection, namespace))) throw new Error('the search attributes are not known yet');
      return { address, namespace, installation, retentionDays };
    } finally {
      await connection.close();
    }
  };
  onProgress(`setting up namespace ${namespace} of ${address}`);
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (error instanceof StyxError && !ERROR_POLICIES[error.kind].retried) throw error;
      const { code, message } = error as { code?: number; message: string };
      if (code !== undefined && FINAL_CODES.has(code)) throw new StyxError('auth', message, { cause: error });
      if (Date.now() > deadline) {
        throw new StyxError('unreachable', `namespace ${namespace} of ${address} could not be set up: ${message}`, {
          hint: 'See whether the server runs, and whether TEMPORAL_TLS_* are its certificates.',
          cause: error,
        });
      }
      onProgress(`waiting for ${address}: ${message}`);
      await sleep(PAUSE_MS);
    }
  }
}
