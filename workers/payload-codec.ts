/**
 * Seals every payload that Temporal is given, and refuses what is not sealed where that is required. A sealed payload is bound to its
 * workflow (or activity): what somebody copies out of one history is worth nothing in another.
 */
import type { Payload, PayloadCodec, SerializationContext } from '@temporalio/common';
import protos from '@temporalio/proto';
import type { ForeignReason } from '../model/envelope.ts';
import { StyxError } from '../model/errors.ts';
import { sealedFor } from '../model/scheduled.ts';
import type { Keyring } from '../system/keyring.ts';
import { open, seal } from '../system/seal.ts';

const { Payload: PayloadMessage } = protos.temporal.api.common.v1;

/** `required`: what is not sealed is refused. `optional`: it is taken as it is, on a server that knows whom it lets in. */
export type CodecRule = 'required' | 'optional';

export interface CodecSettings {
  readonly keyring: Keyring;
  readonly rule: CodecRule;
  /** A payload that is refused is an error, or is replaced by a mark of `model/envelope.ts`. */
  readonly refused: 'throw' | 'mark';
}

const SEALED = 'binary/styx-sealed';

const REASONS: Readonly<Record<ForeignReason, string>> = {
  unsealed: 'is not sealed',
  altered: 'was altered, or sealed for something else',
  'unknown-key': 'was sealed with a key that is not here',
};

export class PayloadSealer implements PayloadCodec {
  readonly #settings: CodecSettings;

  constructor(settings: CodecSettings) {
    this.#settings = settings;
  }

  async encode(payloads: Payload[], context?: SerializationContext): Promise<Payload[]> {
    const { id, secret } = this.#settings.keyring.current('payload');
    const bound = boundTo(context);
    return payloads.map((payload) => ({
      metadata: { encoding: Buffer.from(SEALED), key: Buffer.from(id), for: Buffer.from(bound) },
      data: seal(secret, purpose(id, bound), PayloadMessage.encode(payload).finish()),
    }));
  }

  /** Without a context what a payload says of itself is taken, which nobody else can have written. */
  async decode(payloads: Payload[], context?: SerializationContext): Promise<Payload[]> {
    return payloads.map((payload) => {
      const opened = this.#open(payload, context);
      return typeof opened === 'string' ? this.#refuse(opened, payload) : opened;
    });
  }

  #open(payload: Payload, context: SerializationContext | undefined): Payload | ForeignReason {
    if (text(payload, 'encoding') !== SEALED) return this.#settings.rule === 'required' ? 'unsealed' : payload;
    const id = text(payload, 'key');
    const bound = text(payload, 'for');
    const key = this.#settings.keyring.find('payload', id);
    if (key === undefined) return 'unknown-key';
    if (context !== undefined && boundTo(context) !== bound) return 'altered';
    const plain = open(key.secret, purpose(id, bound), payload.data ?? new Uint8Array());
    return plain === null ? 'altered' : PayloadMessage.decode(plain);
  }

  #refuse(reason: ForeignReason, payload: Payload): Payload {
    if (this.#settings.refused === 'mark') {
      return {
        metadata: { encoding: Buffer.from('json/plain') },
        data: Buffer.from(JSON.stringify({ $foreign: reason })),
      };
    }
    const key =
      reason === 'unknown-key'
        ? ` (${text(payload, 'key')
            .replace(/[^\da-f]/g, '?')
            .slice(0, 16)})`
        : '';
    throw new StyxError('auth', `what Temporal's database holds ${REASONS[reason]}${key}`, {
      hint: reason === 'unknown-key' ? 'Run `styx keys import FILE` with a copy of the keys.' : 'See docs/security.md.',
    });
  }
}

function text(payload: Payload, name: string): string {
  const value = payload.metadata?.[name];
  return value == null ? '' : Buffer.from(value).toString();
}

function boundTo(context: SerializationContext | undefined): string {
  if (context === undefined) return '';
  const { workflowId = '' } = context;
  return context.type === 'workflow'
    ? `workflow ${sealedFor(workflowId)}`
    : `activity ${context.activityId ?? ''} ${workflowId}`;
}

function purpose(keyId: string, bound: string): string {
  return `styx payload 1\0${keyId}\0${bound}`;
}
