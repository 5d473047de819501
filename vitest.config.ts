import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';
import { styxCache } from './system/home.ts';
import { ownNetwork } from './test/stand-ins/machines/pool.ts';

/** Tests with machines at the addresses that a cloud's stand-in tells. */
const ON_MACHINES = ['test/stand-ins/machines/**/*.test.ts', 'test/aws/**/*.test.ts'];

export default defineConfig({
  test: {
    projects: [
      {
        extends: true,
        test: {
          name: 'styx',
          include: ['test/**/*.test.ts'],
          exclude: ['**/node_modules/**', ...ON_MACHINES],
          pool: 'forks',
        },
      },
      { extends: true, test: { name: 'machines', include: ON_MACHINES, pool: ownNetwork } },
    ],
    // Tests start servers and workers of their own, and wait for a third of their time; more at once than this only makes each slower.
    maxWorkers: 4,
    testTimeout: 30_000,
    // A CI machine may stall for longer than any sensible timeout; a test that passes only on its second run is reported as such.
    retry: process.env.CI ? 1 : 0,
    hookTimeout: 60_000,
    teardownTimeout: 30_000,
    globalSetup: ['test/harness/global-setup.ts'],
    env: {
      // Workers are started by the hundred.
      NODE_COMPILE_CACHE: join(styxCache(), 'compiled'),
      // Nothing that the user's environment names may be touched by a test.
      TEMPORAL_ADDRESS: '',
      TEMPORAL_PROFILE: '',
      TEMPORAL_NAMESPACE: '',
      TEMPORAL_CONFIG_FILE: '/nonexistent/temporal.toml',
      SKYPILOT_GLOBAL_CONFIG: '/dev/null',
      SKYPILOT_PROJECT_CONFIG: '/dev/null',
      AWS_ACCESS_KEY_ID: '',
      AWS_PROFILE: '',
      AWS_WEB_IDENTITY_TOKEN_FILE: '',
      AWS_CONTAINER_CREDENTIALS_RELATIVE_URI: '',
      AWS_CONTAINER_CREDENTIALS_FULL_URI: '',
      AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
      AWS_CONFIG_FILE: '/dev/null',
      AWS_EC2_METADATA_DISABLED: 'true',
      STYX_SSH_CONFIG: join(tmpdir(), `styx-test-ssh-config-${process.pid}`),
    },
  },
});
