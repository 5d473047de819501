/** Clients of Temporal without Styx' own client above them, for tests and benches that look at what is below. */
import { Client, Connection } from '@temporalio/client';
import { connectConfig } from '../../workers/connection.ts';
import { sealedClient } from '../../workers/sealing.ts';

/** Speaks sealed, with the keys of `home`, to the server that the environment or `home` names. Close its connection. */
export async function sealedTemporalClient(home: string, env = process.env): Promise<Client> {
  const { connectionOptions, namespace, codec } = await connectConfig(home, env);
  const connection = await Connection.connect(connectionOptions);
  const { dataConverter, interceptors } = sealedClient(home, codec);
  return new Client({ connection, namespace, dataConverter, interceptors: { workflow: interceptors } });
}
