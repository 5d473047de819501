/** Clients of Temporal without Styx' own client above them, for tests and benches that look at what is below. */
import { Client, Connection } from '@temporalio/client';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import { connectConfig } from '../../workers/connection.ts';
import { sealedClient } from '../../workers/sealing.ts';

/** Speaks sealed, with the keys of `home`, to the server that the environment or `home` names. Close its connection. */
export async function sealedTemporalClient(home: string, env = process.env): Promise<Client> {
  const { connectionOptions, namespace, codec } = await connectConfig(home, env);
  const connection = await Connection.connect(connectionOptions);
  const { dataConverter, interceptors } = sealedClient(home, codec);
  return new Client({ connection, namespace, dataConverter, interceptors: { workflow: interceptors } });
}

/** What is in a payload of a raw history. */
export async function openedPayload(home: string, payload: Payload): Promise<unknown> {
  const [codec] = sealedClient(home, 'required').dataConverter.payloadCodecs ?? [];
  const [plain] = (await codec?.decode([payload])) ?? [];
  return plain === undefined ? undefined : defaultPayloadConverter.fromPayload(plain);
}
