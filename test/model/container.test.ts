/** The container that a task file asks for, and what logs in to its registry. */
import { expect, test } from 'vitest';
import { withRegistryLogin } from '../../model/container.ts';
import { parseTask } from '../../model/parse-task.ts';
import type { SecretBox } from '../../model/secret-box.ts';

const parsed = (resources: string, more = '') =>
  parseTask(`resources: {${resources}}\n${more}run: x\n`, { file: 'task.yaml' });
const LOGIN = (name: string) => `SKYPILOT_DOCKER_${name}: a-${name.toLowerCase()}`;

test('the image of a container stands apart from those of machines', () => {
  expect(parsed('image_id: "docker:team/train:2"').resources.wants).toEqual({ container: { image: 'team/train:2' } });
  expect(parsed('image_id: {us-east-1: ami-1}').resources.wants).not.toHaveProperty('container');
  expect(parsed('image_id: {docker: u, us-east-1: ami-1}').resources.wants).toEqual({
    container: { image: 'u' },
    images: [{ region: 'us-east-1', image: 'ami-1' }],
  });
});

test('a task with containers of different images is refused, however they are named', () => {
  const several = /image_id: several images of containers are not supported yet by this version of Styx; name one/;
  expect(() => parsed('any_of: [{image_id: "docker:a"}, {image_id: "docker:b"}]')).toThrow(several);
  expect(() => parsed('image_id: {us-east-1: "docker:a", us-west-2: "docker:b"}')).toThrow(several);
  expect(() => parsed('any_of: [{image_id: "docker:a"}, {image_id: "docker:a", cpus: 2}]')).not.toThrow();
});

test('half a login of a registry is refused, by the names that lack', () => {
  const half = `secrets: {${LOGIN('SERVER')}, ${LOGIN('USERNAME')}}\n`;
  expect(() => parsed('image_id: "docker:a"', half)).toThrow(/SKYPILOT_DOCKER_PASSWORD/);
});

test('a password among the variables is a secret', () => {
  const task = parsed('image_id: "docker:a"', `envs: {${['SERVER', 'USERNAME', 'PASSWORD'].map(LOGIN).join(', ')}}\n`);
  expect(task.envs).toEqual({ SKYPILOT_DOCKER_SERVER: 'a-server', SKYPILOT_DOCKER_USERNAME: 'a-username' });
  expect(task.secrets).toEqual({ SKYPILOT_DOCKER_PASSWORD: 'a-password' });
});

test('a closed login goes with a container, and with nothing else', () => {
  const login = { SKYPILOT_DOCKER_PASSWORD: { $secret: 'k', box: 'b' } as SecretBox };
  const asked = parsed('image_id: "docker:a"').resources;
  expect(withRegistryLogin(asked, login).wants?.container).toEqual({ image: 'a', login });
  expect(withRegistryLogin(asked, {})).toBe(asked);
  const other = parsed('cpus: 2').resources;
  expect(withRegistryLogin(other, login)).toBe(other);
});
