/** Keys are derived, so that nothing needs to be stored or handed around: secret and scope give the same key for ever. */
import { createPrivateKey, createPublicKey, hkdfSync } from 'node:crypto';

export interface SshKey {
  /** OpenSSH private key text, unencrypted. */
  readonly privateKey: string;
  /** `ssh-ed25519 AAAA… comment` */
  readonly publicKey: string;
}

const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');
const KEY_TYPE = 'ssh-ed25519';

/** The key that may log in to the nodes of a cluster. `secret` must hold 32 bytes at least. */
export function loginKey(secret: Buffer, scope: string): SshKey {
  return derivedKey(secret, 'styx login key', scope);
}

/** The key by which the machines of a placement are known at the first contact. */
export function hostKey(secret: Buffer, placementKey: string): SshKey {
  return derivedKey(secret, 'styx host key', placementKey);
}

/** The ed25519 key of HKDF-SHA256(secret, purpose and scope). */
function derivedKey(secret: Buffer, purpose: string, scope: string): SshKey {
  if (secret.length < 32) throw new RangeError('a secret of 32 bytes at least is needed');
  const seed = Buffer.from(hkdfSync('sha256', secret, Buffer.alloc(0), `${purpose}\0${scope}`, 32));
  const der = createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, seed]), format: 'der', type: 'pkcs8' });
  const jwk = createPublicKey(der).export({ format: 'jwk' });
  const point = Buffer.from(jwk.x ?? '', 'base64url');
  const comment = `styx:${scope.replace(/[^A-Za-z0-9._/-]/g, '_')}`;
  const blob = Buffer.concat([field(KEY_TYPE), field(point)]);
  return {
    privateKey: openSsh(blob, seed, point, comment),
    publicKey: `${KEY_TYPE} ${blob.toString('base64')} ${comment}`,
  };
}

/** PROTOCOL.key of OpenSSH: "openssh-key-v1". The check number, random there, is a part of the seed's public half here. */
function openSsh(blob: Buffer, seed: Buffer, point: Buffer, comment: string): string {
  const check = point.subarray(0, 4);
  const body = Buffer.concat([
    check,
    check,
    field(KEY_TYPE),
    field(point),
    field(Buffer.concat([seed, point])),
    field(comment),
  ]);
  const padding = Buffer.from(Array.from({ length: (8 - (body.length % 8)) % 8 }, (_, at) => at + 1));
  const file = Buffer.concat([
    Buffer.from('openssh-key-v1\0'),
    field('none'),
    field('none'),
    field(''),
    Buffer.from([0, 0, 0, 1]),
    field(blob),
    field(Buffer.concat([body, padding])),
  ]);
  const lines = file.toString('base64').match(/.{1,70}/g) ?? [];
  return `-----BEGIN OPENSSH PRIVATE KEY-----\n${lines.join('\n')}\n-----END OPENSSH PRIVATE KEY-----\n`;
}

function field(data: string | Buffer): Buffer {
  const bytes = Buffer.from(data as string);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}
