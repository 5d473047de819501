/** What Styx needs of a namespace: search attributes of the right types and, on a server of our own, 30 days of history. */
import type { Connection, WorkflowClient } from '@temporalio/client';
import { StyxError } from '../model/errors.ts';
import { SEARCH_ATTRIBUTES } from '../model/search-attributes.ts';

const RETENTION_DAYS = 30;
const DAY_SECONDS = 24 * 60 * 60;

/** gRPC's numbers. */
const NOT_FOUND = 5;
const ALREADY_EXISTS = 6;
const PERMISSION_DENIED = 7;

/** Of a client or of a worker. */
type Services = Pick<Connection, 'workflowService' | 'operatorService'>;

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
  connection: Services,
  namespace: string,
  embedded: boolean,
): Promise<NamespaceInfo> {
  const description = await connection.workflowService.describeNamespace({ namespace });
  const installation = description.namespaceInfo?.id;
  if (!installation) throw new StyxError('internal', `namespace ${namespace} has no id`);
  await ensureSearchAttributes(connection, namespace);
  const retention = Number(description.config?.workflowExecutionRetentionTtl?.seconds ?? 0);
  if (embedded && retention !== RETENTION_DAYS * DAY_SECONDS) await setRetention(connection, namespace, RETENTION_DAYS);
  return { installation };
}

/**
 * What goes by the lack of workflows must not do so on a server that came in the place of the one that has them.
 *
 * @throws refused when the server's namespace is another one than that of `installation`
 */
export async function mustBeInstallation(
  { workflowService, options: { namespace } }: Pick<WorkflowClient, 'workflowService' | 'options'>,
  installation: string,
): Promise<void> {
  const { namespaceInfo } = await workflowService.describeNamespace({ namespace });
  if (namespaceInfo?.id === installation) return;
  const instead = `${namespaceInfo?.id} in place of ${installation}`;
  throw new StyxError('refused', `the Temporal server has another database than when this process began: ${instead}`, {
    hint: 'End it; what is started now belongs to the new one. The next command starts another worker.',
  });
}

/**
 * Registers the namespace when there is none, and sets how many days it keeps what has ended. Safe to repeat and to run twice at once.
 * @throws auth when that may not be done
 */
export async function ensureRegistered(connection: Services, namespace: string, retentionDays: number): Promise<void> {
  const seconds = (retentionDays * DAY_SECONDS) as never;
  try {
    const { config } = await connection.workflowService.describeNamespace({ namespace });
    if (Number(config?.workflowExecutionRetentionTtl?.seconds ?? 0) === seconds) return;
    await setRetention(connection, namespace, retentionDays);
  } catch (error) {
    if (codeOf(error) !== NOT_FOUND) throw explained(error, namespace);
    await connection.workflowService
      .registerNamespace({ namespace, workflowExecutionRetentionPeriod: { seconds }, description: 'Styx' })
      .catch((failure) => {
        if (codeOf(failure) !== ALREADY_EXISTS) throw explained(failure, namespace);
      });
  }
}

/**
 * Can workflows be listed by all of the attributes? The server's own memory of a namespace is some seconds behind what was registered
 * there, and a workflow that uses an attribute before would fail its task until then.
 */
export async function isSearchable(connection: Services, namespace: string): Promise<boolean> {
  const query = Object.keys(SEARCH_ATTRIBUTES)
    .map((name) => `${name} IS NULL`)
    .join(' AND ');
  try {
    await connection.workflowService.listWorkflowExecutions({ namespace, query, pageSize: 1 });
    return true;
  } catch (error) {
    const INVALID_ARGUMENT = 3;
    const code = codeOf(error);
    if (code === INVALID_ARGUMENT || code === NOT_FOUND) return false;
    throw error;
  }
}

async function setRetention(connection: Services, namespace: string, days: number): Promise<void> {
  const workflowExecutionRetentionTtl = { seconds: (days * DAY_SECONDS) as never };
  await connection.workflowService.updateNamespace({ namespace, config: { workflowExecutionRetentionTtl } });
}

function codeOf(error: unknown): number | undefined {
  return (error as { code?: number }).code;
}

function explained(error: unknown, namespace: string): unknown {
  if (codeOf(error) !== PERMISSION_DENIED) return error;
  return new StyxError('auth', `namespace ${namespace} may not be set up with these credentials`, { cause: error });
}

async function ensureSearchAttributes(connection: Services, namespace: string): Promise<void> {
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
    const code = codeOf(error);
    if (code === ALREADY_EXISTS) return;
    if (code !== PERMISSION_DENIED) throw error;
    throw new StyxError('auth', `namespace ${namespace} lacks the search attributes ${names.join(', ')}`, {
      hint: `Ask its administrator to add them: ${names.map((name) => `${name}=${SEARCH_ATTRIBUTES[name as keyof typeof SEARCH_ATTRIBUTES]}`).join(' ')}`,
      cause: error,
    });
  }
}
