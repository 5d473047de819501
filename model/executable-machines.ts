/** The machines that a task file asks for, as a launch asks for them. */
import { namesWithMemory } from './accelerators.ts';
import { choiceOf, MOST_ALTERNATIVES } from './alternatives.ts';
import { wantsOf } from './machine-wants.ts';
import type { MachineChoice, ResourceRequest } from './machines.ts';
import { NOT_YET, type Obstacle } from './obstacle.ts';
import { FieldError } from './spec/field.ts';
import type { Alternative } from './spec/resources.ts';
import { gpuCount } from './spec/styx-fields.ts';
import type { TaskSpec } from './spec/task.ts';

/** Of a task without obstacles. */
export function requestOf({ resources: { alternatives, order }, numNodes }: TaskSpec): ResourceRequest {
  const [asked] = alternatives;
  const [first, ...others] = alternatives.flatMap(choicesOf);
  const wants = wantsOf(asked);
  return {
    ...(first ?? choiceWith(asked, null)),
    numNodes,
    ...(others.length === 0 ? {} : { others }),
    ...(others.length > 0 && order === 'ordered' ? { inOrder: true } : {}),
    ...(wants === undefined ? {} : { wants }),
  };
}

/** One; of accelerators that are asked for by their memory one for each name. */
function choicesOf(asked: Alternative): MachineChoice[] {
  const { accelerators } = asked;
  if (accelerators === null) return [choiceWith(asked, null)];
  const { count } = accelerators;
  const names = accelerators.kind === 'named' ? [accelerators.name] : namesWithMemory(accelerators);
  return names.map((name) => choiceWith(asked, { name, count }));
}

function choiceWith(asked: Alternative, accelerators: MachineChoice['accelerators']): MachineChoice {
  const memory = asked.memory?.count === 0 ? null : asked.memory;
  return choiceOf({ ...asked, memory, accelerators });
}

/** All that stands in the way of asking for these machines. */
export function alternativeObstacles({ resources: { alternatives, order }, jobDemand }: TaskSpec): Obstacle[] {
  const found: Obstacle[] = [];
  for (const { accelerators } of alternatives) {
    if (accelerators?.kind === 'memory' && namesWithMemory(accelerators).length === 0) {
      const { gib, atLeast, manufacturer } = accelerators;
      const of = manufacturer === null ? '' : ` of ${manufacturer}`;
      const message = `no accelerator${of} that is known has ${gib}${atLeast ? ' GB or more' : ' GB'}: see \`styx gpus list\``;
      found.push({ path: ['resources', 'accelerators'], message });
    } else if (accelerators !== null) {
      try {
        gpuCount(accelerators.count);
      } catch (error) {
        if (!(error instanceof FieldError)) throw error;
        found.push({ path: ['resources', 'accelerators'], message: error.message });
      }
    }
  }
  const [first, ...others] = alternatives;
  const path = ['resources', order];
  const differing = Object.keys(first).filter(
    (key) =>
      !(key in CHOICES) &&
      others.some((one) => !isSame(one[key as keyof Alternative], first[key as keyof Alternative])),
  );
  if (differing.length > 0) {
    found.push({ path, message: `alternatives that differ in ${differing.map(fieldName).join(', ')} are ${NOT_YET}` });
  }
  const { length } = alternatives.flatMap(choicesOf);
  if (length > MOST_ALTERNATIVES) {
    found.push({ path, message: `has ${length} alternatives; ${MOST_ALTERNATIVES} are the most` });
  }
  const counts = new Set(alternatives.map(({ accelerators }) => accelerators?.count ?? 0));
  if ((jobDemand.gpus ?? null) === null && counts.size > 1) {
    const message = `alternatives with different numbers of accelerators (${[...counts].join(', ')}) leave open what a job takes`;
    found.push({ path, message: `${message}: say it by job_demand.gpus` });
  }
  return found.slice(0, MOST_OBSTACLES);
}

/** What alternatives may differ in. */
const CHOICES: Readonly<Record<keyof MachineChoice, true>> = {
  cloud: true,
  region: true,
  zone: true,
  instanceType: true,
  cpus: true,
  memory: true,
  accelerators: true,
  useSpot: true,
};
const MOST_OBSTACLES = 10;

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** `diskSize` → `disk_size` */
function fieldName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
