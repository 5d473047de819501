/**
 * The part of cloud-init's user data that machines of the stand-in carry out, as shell text. What is not carried out is refused, so
 * that nobody believes it was:
 *   #cloud-config   ssh_authorized_keys, ssh_keys (ed25519), ssh_deletekeys: true, users (`default` first), write_files, bootcmd, runcmd
 *   #!…             a script that root runs once, after SSH answers
 */
import { parse } from 'yaml';
import { z } from 'zod';
import { shellQuote } from '../../../nodes/quote.ts';

export interface Boots {
  /** Run by root at every boot, before all else. */
  readonly always: string;
  /** Run by root before anybody may log in. */
  readonly prepare: string;
  /** Run by root when SSH answers. */
  readonly commands: string;
}

const keysSchema = z.array(z.string());

const userSchema = z.strictObject({
  name: z.string(),
  shell: z.string().default('/bin/bash'),
  groups: z.array(z.string()).default([]),
  /** A line of sudoers without the name. */
  sudo: z.string().optional(),
  ssh_authorized_keys: keysSchema.default([]),
});

const fileSchema = z.strictObject({
  path: z.string(),
  content: z.string(),
  encoding: z.enum(['text/plain', 'b64', 'base64']).default('text/plain'),
  owner: z.string().default('root:root'),
  permissions: z.string().default('0644'),
  append: z.boolean().default(false),
});

const commandsSchema = z.array(z.union([z.string(), z.array(z.string())]));

const configSchema = z.strictObject({
  ssh_authorized_keys: keysSchema.default([]),
  ssh_keys: z.strictObject({ ed25519_private: z.string(), ed25519_public: z.string() }).optional(),
  ssh_deletekeys: z.literal(true).optional(),
  users: z.tuple([z.literal('default')], userSchema).default(['default']),
  write_files: z.array(fileSchema).default([]),
  bootcmd: commandsSchema.default([]),
  runcmd: commandsSchema.default([]),
});

export const DEFAULT_USER = 'ubuntu';

/** @throws Error for what is not carried out */
export function bootsOf(userData: string): Boots {
  const home = makeUser(DEFAULT_USER, []);
  if (userData === '') return { always: '', prepare: home, commands: '' };
  if (userData.startsWith('#!')) {
    const script = '/var/lib/cloud/instance/user-script';
    const write = writeFile(fileSchema.parse({ path: script, content: userData, permissions: '0700' }));
    return { always: '', prepare: `${home}${write}`, commands: `${script}\n` };
  }
  if (!/^#cloud-config\s*\n/.test(userData)) throw new Error(`user data begins with ${userData.slice(0, 20)}`);
  const read = configSchema.safeParse(parse(userData));
  if (!read.success) throw new Error(`user data that machines here do not carry out: ${z.prettifyError(read.error)}`);
  const config = read.data;
  const [, ...users] = config.users;
  const prepare = [
    makeUser(DEFAULT_USER, config.ssh_authorized_keys),
    ...users.map((user) => addUser(user)),
    config.ssh_keys === undefined ? '' : hostKey(config.ssh_keys),
    ...config.write_files.map(writeFile),
  ];
  return { always: shellText(config.bootcmd), prepare: prepare.join(''), commands: shellText(config.runcmd) };
}

function shellText(commands: z.infer<typeof commandsSchema>): string {
  return commands.map((one) => `${typeof one === 'string' ? one : one.map(shellQuote).join(' ')}\n`).join('');
}

function hostKey(keys: { readonly ed25519_private: string; readonly ed25519_public: string }): string {
  const path = '/etc/ssh/ssh_host_ed25519_key';
  const line = (text: string) => `${text.trimEnd()}\n`;
  return (
    writeFile(fileSchema.parse({ path, content: line(keys.ed25519_private), permissions: '0600' })) +
    writeFile(fileSchema.parse({ path: `${path}.pub`, content: line(keys.ed25519_public) }))
  );
}

function addUser(user: z.infer<typeof userSchema>): string {
  const { name, shell, groups, sudo } = user;
  const [quoted, sudoers] = [shellQuote(name), shellQuote(`/etc/sudoers.d/90-cloud-init-${name}`)];
  const groupOption = groups.length === 0 ? '' : `-G ${shellQuote(groups.join(','))} `;
  const rule = sudo === undefined ? '' : `echo ${shellQuote(`${name} ${sudo}`)} >${sudoers}; chmod 440 ${sudoers}\n`;
  return `useradd -M -s ${shellQuote(shell)} ${groupOption}${quoted}\n${rule}${makeUser(name, user.ssh_authorized_keys)}`;
}

/** The home directory, and who may log in. */
function makeUser(name: string, keys: readonly string[]): string {
  const home = shellQuote(`/home/${name}`);
  const lines = keys.map((key) => `${key.trim()}\n`).join('');
  return (
    `[ -d ${home} ] || cp -r /etc/skel ${home}; mkdir -p ${home}/.ssh\n` +
    `printf %s ${shellQuote(lines)} >${home}/.ssh/authorized_keys\n` +
    `chmod 750 ${home}; chmod 700 ${home}/.ssh; chmod 600 ${home}/.ssh/authorized_keys; chown -R ${shellQuote(name)}: ${home}\n`
  );
}

function writeFile({ path, content, encoding, owner, permissions, append }: z.infer<typeof fileSchema>): string {
  const base64 = encoding === 'text/plain' ? Buffer.from(content).toString('base64') : content.replaceAll(/\s/g, '');
  const [quoted, into] = [shellQuote(path), append ? '>>' : '>'];
  return (
    `mkdir -p "$(dirname ${quoted})"; printf %s ${base64} | base64 -d ${into}${quoted}\n` +
    `chown ${shellQuote(owner)} ${quoted}; chmod ${shellQuote(permissions)} ${quoted}\n`
  );
}
