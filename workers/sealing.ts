/** What makes clients and workers of Temporal speak sealed. Whoever makes either takes it from here. */
import { join } from 'node:path';
import type { DataConverter, WorkflowClientInterceptor } from '@temporalio/client';
import { envelope, type MessageKind } from '../model/envelope.ts';
import { Keyring } from '../system/keyring.ts';
import { type CodecRule, PayloadSealer } from './payload-codec.ts';

/** Messages and stack traces of failures are payloads with it. Also a part of the workflow bundle. */
export const FAILURE_CONVERTER = join(import.meta.dirname, '..', 'workflows', 'failure-converter.ts');

export interface SealedClient {
  readonly dataConverter: DataConverter;
  readonly interceptors: WorkflowClientInterceptor[];
}

/** For `WorkflowClient`. `mark`: what is not ours is read as a mark in its place, for lists, which one foreigner must not break. */
export function sealedClient(home: string, rule: CodecRule, refused: 'throw' | 'mark' = 'throw'): SealedClient {
  const codec = new PayloadSealer({ keyring: new Keyring(home), rule, refused });
  return { dataConverter: { payloadCodecs: [codec] }, interceptors: [enclosing(rule === 'required')] };
}

/**
 * For workers. Workflows get a mark for what is refused: an error would fail their task for ever, so that anybody could stop one by a
 * bad signal. Where sealing is optional there are no strangers, and a payload that cannot be opened waits for its key.
 */
export function sealedWorker(home: string, rule: CodecRule, serves: 'workflows' | 'activities'): DataConverter {
  const refused = serves === 'workflows' && rule === 'required' ? 'mark' : 'throw';
  const codec = new PayloadSealer({ keyring: new Keyring(home), rule, refused });
  return { payloadCodecs: [codec], failureConverterPath: FAILURE_CONVERTER };
}

/** What is written stays as others write it. */
export function openOnly(home: string): DataConverter {
  const codec = new PayloadSealer({ keyring: new Keyring(home), rule: 'optional', refused: 'throw' });
  return { payloadCodecs: [{ encode: async (payloads) => payloads, decode: (...sealed) => codec.decode(...sealed) }] };
}

function enclosing(strict: boolean): WorkflowClientInterceptor {
  const enclosed = (kind: MessageKind, name: string, args: readonly unknown[], sentAt = Date.now()) => [
    envelope(kind, name, args, { sentAt, ...(kind === 'start' ? { strict } : {}) }),
  ];
  return {
    startWithDetails: (input, next) => {
      const { options, workflowType } = input;
      return next({ ...input, options: { ...options, args: enclosed('start', workflowType, options.args) } });
    },
    startUpdate: (input, next) => next({ ...input, args: enclosed('update', input.updateName, input.args) }),
    startUpdateWithStart: (input, next) => {
      const { workflowStartOptions: options, workflowType, updateName, updateArgs } = input;
      const now = Date.now();
      return next({
        ...input,
        workflowStartOptions: { ...options, args: enclosed('start', workflowType, options.args, now) },
        updateArgs: enclosed('update', updateName, updateArgs, now),
      });
    },
    signal: (input, next) => next({ ...input, args: enclosed('signal', input.signalName, input.args) }),
    signalWithStart: (input, next) => {
      const { options, workflowType, signalName, signalArgs } = input;
      return next({
        ...input,
        options: { ...options, args: enclosed('start', workflowType, options.args) },
        signalArgs: enclosed('signal', signalName, signalArgs),
      });
    },
  };
}
