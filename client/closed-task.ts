/** A task as it leaves this process: what is secret in it is closed. */
import { registryValues, withRegistryLogin } from '../model/container.ts';
import type { Task, WrittenTask } from '../model/task.ts';
import type { Keyring } from '../system/keyring.ts';
import { closeSecrets } from '../system/secret-box.ts';

export function closedTask(keyring: Keyring, task: WrittenTask): Task {
  const login = registryValues({ ...task.envs, ...task.secrets });
  return {
    ...task,
    resources: withRegistryLogin(task.resources, closeSecrets(keyring, login)),
    secrets: closeSecrets(keyring, task.secrets),
  };
}
