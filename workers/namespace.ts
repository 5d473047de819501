/** What Styx needs of a namespace: search attributes of the right types and, on a server of our own, 30 days of history. */
import type { NativeConnection } from '@temporalio/worker';
import { StyxError } from '../model/errors.ts';
import { SEARCH_ATTRIBUTES } from '../model/search-attributes.ts';

const RETENTION_SECONDS = 30 * 24 * 60 * 60;

/** Temporal's IndexedValueType. */
const TYPE_NUMBERS = { Text: 1, Keyword: 2, Int: 3, Double: 4, Bool: 5, Datetime: 6, KeywordList: 7 } as const;

export interface NamespaceInfo {
  /** The namespace's UUID: what identifies this installation on the machines it makes. */
  readonly installation: string;
}

/**
 * Registers what is missing. Safe to repeat and to run twice at once.
 * @throws invalid when an attribute exists with another type, auth when missing ones may not be added
 */
export async function ensureNamespace(
  connection: NativeConnection,
  namespace: string,
  embedded: boolean,
): Promise<NamespaceInfo> {
  const description = await connection.workflowService.describeNamespace({ namespace });
  const installation = description.namespaceInfo?.id;
  if (!installation) throw new StyxError('internal', `namespace ${namespace} has no id`);
  await ensureSearchAttributes(connection, namespace);
  const retention = Number(description.config?.workflowExecutionRetentionTtl?.seconds ?? 0);
  if (embedded && retention !== RETENTION_SECONDS) {
    await connection.workflowService.updateNamespace({
      namespace,
      config: { workflowExecutionRetentionTtl: { seconds: RETENTION_SECONDS as never } },
    });
  }
  return { installation };
}

async function ensureSearchAttributes(connection: NativeConnection, namespace: string): Promise<void> {
  const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
  const missing: Record<string, number> = {};
  for (const [name, type] of Object.entries(SEARCH_ATTRIBUTES)) {
    const wanted = TYPE_NUMBERS[type];
    const present = customAttributes?.[name];
    if (present === undefined || present === null) missing[name] = wanted;
    else if (present !== wanted) {
      throw new StyxError('invalid', `search attribute ${name} of namespace ${namespace} is not of type ${type}`, {
        hint: 'Use another namespace, or remove the attribute there.',
      });
    }
  }
  const names = Object.keys(missing);
  if (names.length === 0) return;
  try {
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes: missing });
  } catch (error) {
    const code = (error as { code?: number }).code;
    const ALREADY_EXISTS = 6;
    if (code === ALREADY_EXISTS) return;
    const PERMISSION_DENIED = 7;
    if (code !== PERMISSION_DENIED) throw error;
    throw new StyxError('auth', `namespace ${namespace} lacks the search attributes ${names.join(', ')}`, {
      hint: `Ask its administrator to add them: ${names.map((name) => `${name}=${SEARCH_ATTRIBUTES[name as keyof typeof SEARCH_ATTRIBUTES]}`).join(' ')}`,
      cause: error,
    });
  }
}
