/** Which Temporal server to talk to: the one that the environment names, else the embedded one. Imports stay light. */
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { StyxError } from '../model/errors.ts';
import type { CodecRule } from './payload-codec.ts';
import { readState, type Target, unitPaths } from './unit.ts';

export const DEFAULT_NAMESPACE = 'default';

/** For both `Connection.connect` and `NativeConnection.connect`. */
export interface ConnectConfig {
  readonly connectionOptions: {
    readonly address: string;
    readonly apiKey?: string;
    readonly tls?: boolean | object;
    readonly metadata?: Record<string, string>;
  };
  readonly namespace: string;
  /** The embedded server lets everybody in, so that there the payloads have to say whose they are. */
  readonly codec: CodecRule;
}

/**
 * What `@temporalio/envconfig` reads (TEMPORAL_* variables, profile of the config file); null when it names no server. `codec` is
 * the rule of the configuration, which holds when STYX_CODEC says nothing.
 */
export async function environmentConfig(
  env: NodeJS.ProcessEnv = process.env,
  codec: CodecRule | null = null,
): Promise<ConnectConfig | null> {
  // A variable set to nothing is one that is not set.
  const variables = Object.fromEntries(Object.entries(env).filter((entry): entry is [string, string] => !!entry[1]));
  const named = Object.keys(variables).some((name) => name.startsWith('TEMPORAL_') && name !== 'TEMPORAL_CONFIG_FILE');
  if (!named && !existsSync(configFile(variables))) return null;
  let config: Awaited<ReturnType<typeof load>>;
  try {
    config = await load(variables);
  } catch (error) {
    throw new StyxError('invalid', `cannot read the Temporal configuration: ${(error as Error).message}`, {
      hint: 'Check the TEMPORAL_* variables and the profile in temporal.toml.',
      cause: error,
    });
  }
  const { address, ...rest } = config.connectionOptions;
  if (address === undefined) {
    if (config.namespace !== undefined && config.namespace !== DEFAULT_NAMESPACE) {
      throw new StyxError('invalid', `Temporal namespace ${config.namespace} is set, but no server address`, {
        hint: 'Set TEMPORAL_ADDRESS too, or unset TEMPORAL_NAMESPACE to use the embedded server.',
      });
    }
    return null;
  }
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  const namespace = config.namespace ?? DEFAULT_NAMESPACE;
  return {
    connectionOptions: { address, ...given },
    namespace,
    codec: codecRule(variables.STYX_CODEC ?? codec ?? undefined),
  };
}

function codecRule(rule = 'optional'): CodecRule {
  if (rule === 'required' || rule === 'optional') return rule;
  throw new StyxError('invalid', `STYX_CODEC is '${rule}'; it can be required or optional`);
}

async function load(variables: Record<string, string>) {
  const { loadClientConnectConfig } = await import('@temporalio/envconfig');
  try {
    return loadClientConnectConfig({ overrideEnvVars: variables });
  } catch (error) {
    // SDK 1.24 stumbles over a file in which there is no profile at all.
    if (!(error instanceof TypeError) || variables.TEMPORAL_PROFILE !== undefined) throw error;
    return loadClientConnectConfig({ overrideEnvVars: variables, disableFile: true });
  }
}

export async function resolveTarget(env: NodeJS.ProcessEnv = process.env): Promise<Target> {
  const config = await environmentConfig(env);
  return config === null
    ? { embedded: true, address: undefined, namespace: DEFAULT_NAMESPACE }
    : { embedded: false, address: config.connectionOptions.address, namespace: config.namespace };
}

/** @throws unreachable when the environment names no server and the embedded one has never been started */
export async function connectConfig(
  home: string,
  env: NodeJS.ProcessEnv = process.env,
  codec: CodecRule | null = null,
): Promise<ConnectConfig> {
  const config = await environmentConfig(env, codec);
  if (config !== null) return config;
  const target: Target = { embedded: true, address: undefined, namespace: DEFAULT_NAMESPACE };
  const state = readState(unitPaths(home, target));
  if (state === null) {
    throw new StyxError('unreachable', 'the embedded Temporal server is not running', {
      hint: 'Run `styx server start`.',
    });
  }
  if ((env.STYX_CODEC || codec) === 'optional') {
    const name = env.STYX_CODEC ? 'STYX_CODEC' : 'codec of the configuration';
    throw new StyxError('invalid', `${name} is optional, but the embedded Temporal server lets everybody in`, {
      hint: 'Take it back, or set TEMPORAL_ADDRESS to a server that knows its users.',
    });
  }
  return {
    connectionOptions: { address: state.address, tls: false },
    namespace: state.namespace,
    codec: 'required',
  };
}

/**
 * Do commands start what they need on this machine? With STYX_WORKERS=elsewhere they do not: workers of the named server run on other
 * machines, and this one only asks.
 */
export function startsWorkers(env: NodeJS.ProcessEnv = process.env): boolean {
  const where = env.STYX_WORKERS || 'here';
  if (where === 'here' || where === 'elsewhere') return where === 'here';
  throw new StyxError('invalid', `STYX_WORKERS is '${where}'; it can be here or elsewhere`);
}

function configFile(env: NodeJS.ProcessEnv): string {
  if (env.TEMPORAL_CONFIG_FILE) return env.TEMPORAL_CONFIG_FILE;
  const mac = join(homedir(), 'Library', 'Application Support');
  const base = process.platform === 'darwin' ? mac : env.XDG_CONFIG_HOME || join(homedir(), '.config');
  return join(base, 'temporalio', 'temporal.toml');
}
