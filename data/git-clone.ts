/** A git repository at a ref, checked out here. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { StyxError } from '../model/errors.ts';

/** What a url may make git do; `ext::` would run a command. */
const PROTOCOLS = 'file:git:http:https:ssh';
const COMMIT = /^[0-9a-f]{7,64}$/;

/**
 * Clones into an empty directory and checks the ref out: a branch, a tag or a commit; null: what HEAD of the repository names.
 * Asks for nothing: credentials are those that git finds by itself. @throws invalid with what git said
 */
export async function cloneAt(url: string, ref: string | null, into: string): Promise<void> {
  const from = existsSync(url) ? resolve(url) : url;
  const named = ref === null || COMMIT.test(ref) ? [] : ['--branch', ref];
  try {
    await git(['clone', '--quiet', '--no-hardlinks', '--single-branch', ...named, '--', from, into]);
  } catch (error) {
    if (named.length === 0 || ref === null) throw failed(url, ref, error);
    // Neither a branch nor a tag: perhaps `refs/pull/1/head`, or a commit in a form of its own.
    await fetchRef(from, ref, into).catch((second: unknown) => {
      throw failed(url, ref, second);
    });
    return;
  }
  if (ref === null || named.length > 0) return;
  await git(['-C', into, 'checkout', '--quiet', '--detach', ref]).catch(() =>
    fetchRef(from, ref, into).catch((error: unknown) => {
      throw failed(url, ref, error);
    }),
  );
}

async function fetchRef(from: string, ref: string, into: string): Promise<void> {
  await git(['-C', into, 'init', '--quiet']);
  await git(['-C', into, 'fetch', '--quiet', '--', from, ref]);
  await git(['-C', into, 'checkout', '--quiet', '--detach', 'FETCH_HEAD']);
}

function git(args: readonly string[]): Promise<void> {
  return new Promise((done, reject) => {
    const child = spawn('git', args, {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { ...process.env, GIT_TERMINAL_PROMPT: '0', GIT_ALLOW_PROTOCOL: PROTOCOLS, LC_ALL: 'C' },
    });
    let complaint = '';
    child.stderr.on('data', (data: Buffer) => {
      complaint = (complaint + data.toString()).slice(-2_000);
    });
    child.once('error', (error) => reject(new Error(`git cannot be run: ${error.message}`)));
    child.once('close', (code) => {
      if (code === 0) done();
      else reject(new Error(complaint.trim().split('\n').at(-1) || `git ended with ${code}`));
    });
  });
}

function failed(url: string, ref: string | null, error: unknown): StyxError {
  const what = ref === null ? url : `${ref} of ${url}`;
  return new StyxError('invalid', `cannot clone ${what}: ${(error as Error).message}`, { cause: error });
}
