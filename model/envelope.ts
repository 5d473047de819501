/**
 * What a start, a signal and an update carry: their arguments together with what they are, as one payload, which is sealed as a whole.
 * So one that carries nothing is known to be ours all the same, and one cannot be sent again under another name.
 */
export interface Envelope {
  /** `start:cluster`, `signal:abort`, `update:down`. */
  readonly $styx: string;
  readonly args: readonly unknown[];
  /** When a client sent it, in ms since the epoch. */
  readonly sentAt?: number;
  /** In a start: messages without an envelope are not for this workflow. */
  readonly strict?: boolean;
}

/**
 * Second detail of the refusal of an update that was sent before the start of its workflow was: it may be a copy of a command for an
 * earlier workflow of that name, or have been overtaken on its way. Its sender sends it anew; nobody else can.
 */
export const SENT_BEFORE_START = 'sent-before-start';

export type MessageKind = 'start' | 'signal' | 'update';

export function envelope(
  kind: MessageKind,
  name: string,
  args: readonly unknown[],
  more: Pick<Envelope, 'sentAt' | 'strict'> = {},
): Envelope {
  return { $styx: `${kind}:${name}`, args, ...more };
}

/** Null when the arguments are not one envelope. */
export function envelopeIn(args: readonly unknown[]): Envelope | null {
  const [first, ...more] = args;
  if (more.length > 0 || typeof first !== 'object' || first === null || !('$styx' in first)) return null;
  const { $styx, args: inner } = first as Partial<Envelope>;
  return typeof $styx === 'string' && Array.isArray(inner) ? (first as Envelope) : null;
}

/** Why a payload was not accepted. `unknown-key`: it may be ours, by a key that is not here. */
export type ForeignReason = 'unsealed' | 'altered' | 'unknown-key';

/** Stands in for a payload that was not accepted, where an error would stop what has nothing to do with it. */
export interface Foreign {
  readonly $foreign: ForeignReason;
}

export function foreignReason(value: unknown): ForeignReason | null {
  if (typeof value !== 'object' || value === null || !('$foreign' in value)) return null;
  return (value as Foreign).$foreign;
}
