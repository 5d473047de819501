/** Where on a node files may be put: below the home directory, or in a place of the machine that it can do without. */
import { FieldError } from './spec/field.ts';

export const WORKDIR = '~/sky_workdir';
/** The agent's own, where nothing may be put. */
const AGENT_DIR = '~/.styx-agent';

/** With all that is in them: a machine does not run without, or they are no directories of a disk. */
const RESERVED = /^\/(?:bin|boot|dev|etc|lib(?:\d+|x32)?|proc|run|sbin|sys|var\/(?:lock|run))(?:\/|$)/;
/** Themselves only: what lies in them is used by others. */
const SHARED = [
  /^\/(?:home|media|mnt|opt|root|srv|tmp|usr|var)$/,
  /^\/var\/(?:backups|cache|lib|local|log|mail|opt|spool|tmp)$/,
  /^\/usr\/local(?:\/(?:bin|etc|games|include|lib[^/]*|man|sbin|share|src))?$/,
];
/** Of /usr only what is there for an administrator's own. */
const USR = /^\/usr\/(?!local\/)/;

export function isUrl(path: string): boolean {
  return /^[a-z][a-z0-9+.-]*:\/\//i.test(path);
}

/** Normal form of a place on a node; a relative one is below the working directory of jobs, as in SkyPilot. @throws FieldError */
export function mountTarget(written: string): string {
  if (written === '/') throw reserved('/');
  if (written.endsWith('/')) throw new FieldError('must not end with a slash');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  if (/[\x00-\x1f\x7f]/.test(written)) throw new FieldError('must not hold control characters or line breaks');
  if (isUrl(written)) throw new FieldError('must be a path on the nodes');
  const given = written.startsWith('/') || /^~(?:\/|$)/.test(written) ? written : `${WORKDIR}/${written}`;
  if (/^~[^/]/.test(written)) throw new FieldError('must begin with ~/, with / or with a name');
  const [first = '', ...steps] = given.split('/');
  const kept = steps.filter((step) => step !== '' && step !== '.');
  if (kept.includes('..')) throw new FieldError('must not hold ".."');
  if (first === '' && kept.length === 0) throw reserved('/');
  if (kept.length === 0) throw new FieldError('must name a place below the home directory');
  const target = [first, ...kept].join('/');
  if (target === AGENT_DIR || target.startsWith(`${AGENT_DIR}/`))
    throw new FieldError(`${AGENT_DIR} is kept for the agent`);
  if (isAbsoluteTarget(target)) checkMachine(target);
  return target;
}

export function isAbsoluteTarget(target: string): boolean {
  return target.startsWith('/');
}

function checkMachine(target: string): void {
  const top = RESERVED.exec(target)?.[0].replace(/\/$/, '');
  if (top !== undefined) throw reserved(top);
  if (SHARED.some((pattern) => pattern.test(target)))
    throw new FieldError(`${target} is used by others on the machine; use a directory in it, or a path under ~`);
  if (USR.test(target)) throw reserved('/usr', ', but for /usr/local');
}

function reserved(top: string, but = ''): FieldError {
  return new FieldError(`${top} is kept for the machine${but}; use a path under ~, or one such as /data or /mnt/data`);
}
