/** Logs that are kept in a directory. */
import { readdirSync, rmSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { LogDirectory, PIECE_BYTES } from '../../data/log-directory.ts';
import { testDir } from '../harness/temporal.ts';
import { keepsLogs } from './log-suite.ts';

const root = testDir();
afterAll(() => rmSync(root, { recursive: true, force: true }));

keepsLogs({
  pieceBytes: PIECE_BYTES,
  rounds: 10,
  open: (maxBytes) => new LogDirectory(root, maxBytes),
  pieces: async ({ folder }) => readdirSync(join(root, folder)).length,
  cut: async ({ folder }, bytes) => truncateSync(join(root, folder, '0-run.000000000000000.log'), bytes),
});
