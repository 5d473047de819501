/** Temporal's time-skipping test server, for rules that take hours. It is a Java program, fetched once into the cache by Maven. */
import { execFile } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { SEARCH_ATTRIBUTES } from '../../model/search-attributes.ts';
import { styxCache } from '../../system/home.ts';

const run = promisify(execFile);
const VERSION = '1.38.0';
const FETCH_MS = 5 * 60_000;

const POM = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>styx</groupId><artifactId>time-skipping</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>io.temporal</groupId><artifactId>temporal-test-server</artifactId><version>${VERSION}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-nop</artifactId><version>2.0.17</version></dependency>
  </dependencies>
</project>
`;

/** The server's start script, fetched when absent. @returns why it cannot be had, when it cannot */
export async function timeSkippingServer(): Promise<{ path: string } | { missing: string }> {
  const directory = join(styxCache(), `temporal-test-server-${VERSION}`);
  const script = join(directory, 'run.sh');
  try {
    await run('java', ['-version']);
  } catch {
    return { missing: 'no Java on the PATH' };
  }
  if (existsSync(script)) return { path: script };
  const making = `${directory}.${process.pid}`;
  try {
    mkdirSync(making, { recursive: true });
    writeFileSync(join(making, 'pom.xml'), POM);
    const goal = ['-q', '-B', '-f', join(making, 'pom.xml'), 'dependency:copy-dependencies', '-DoutputDirectory=lib'];
    await run('mvn', goal, { timeout: FETCH_MS });
    const flags = '-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xshare:auto';
    const main = 'io.temporal.testserver.TestServer';
    const lines = ['#!/bin/sh', 'cd "$(dirname "$0")" || exit 1', `exec java ${flags} -cp 'lib/*' ${main} "$@"`, ''];
    writeFileSync(join(making, 'run.sh'), lines.join('\n'), { mode: 0o755 });
    if (readdirSync(join(making, 'lib')).length === 0) throw new Error('Maven copied nothing');
    if (!existsSync(script)) renameSync(making, directory);
    return { path: script };
  } catch (error) {
    if (existsSync(script)) return { path: script };
    return { missing: `Maven could not fetch the time-skipping server: ${(error as Error).message.slice(0, 300)}` };
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
}

const TYPES = { Text: 1, Keyword: 2, Int: 3, Double: 4, Bool: 5, Datetime: 6, KeywordList: 7 } as const;

/** An environment whose clock jumps while a result is awaited and in `sleep`. */
export async function startTimeSkipping(path: string): Promise<TestWorkflowEnvironment> {
  const environment = await patiently(() =>
    TestWorkflowEnvironment.createTimeSkipping({ server: { executable: { type: 'existing-path', path } } }),
  );
  const searchAttributes = Object.fromEntries(
    Object.entries(SEARCH_ATTRIBUTES).map(([name, type]) => [name, TYPES[type]]),
  );
  await environment.connection.operatorService.addSearchAttributes({ namespace: 'default', searchAttributes });
  return environment;
}

/** The SDK gives the server five seconds to come up, which a busy machine may not have. */
async function patiently<T>(start: () => Promise<T>): Promise<T> {
  for (let left = 5; ; left--) {
    try {
      return await start();
    } catch (error) {
      if (left === 0) throw error;
    }
  }
}

const LOOK_MS = 50;
/** Looks in a row at which the server's clock did not jump though no step was under way, after which it counts as stuck. */
const STUCK_LOOKS = 6;
/** A look that comes so late says that the machine is busy: a step may be on its way. */
const LATE_MS = 2 * LOOK_MS;
const JUMP_MS = 2_000;

/**
 * Lets `ms` of the server's time pass. The server holds its clock for each step that is under way, and (version 1.38) for ever for a child
 * that ends when its parent has continued as new or has ended: that hold is let go here.
 * @param isIdle no worker has a step
 */
export async function skipTime(environment: TestWorkflowEnvironment, ms: number, isIdle: () => boolean): Promise<void> {
  let over = false;
  const slept = environment.sleep(ms).finally(() => {
    over = true;
  });
  let clock = await environment.currentTimeMs();
  for (let [lookedAt, stuck] = [Date.now(), 0]; !over; ) {
    await Promise.race([slept, new Promise((resolve) => setTimeout(resolve, LOOK_MS))]);
    if (over) break;
    const [before, passed] = [clock, Date.now() - lookedAt];
    clock = await environment.currentTimeMs();
    lookedAt = Date.now();
    const jumped = clock - before > passed + JUMP_MS;
    stuck = jumped || passed > LATE_MS || !isIdle() ? 0 : stuck + 1;
    if (stuck < STUCK_LOOKS || over) continue;
    await environment.connection.testService?.unlockTimeSkipping({});
    stuck = 0;
  }
  await slept;
}
