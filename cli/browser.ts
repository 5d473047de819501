/** The browser of whoever sits at this machine. */
import { spawn } from 'node:child_process';

/** Whether a browser that is opened here is seen by who asked for it. */
export function isDesktop(env: NodeJS.ProcessEnv = process.env, platform = process.platform): boolean {
  if ((env.SSH_CONNECTION ?? '') !== '' || (env.CI ?? '') !== '') return false;
  if (platform === 'darwin') return true;
  return (env.DISPLAY ?? '') !== '' || (env.WAYLAND_DISPLAY ?? '') !== '';
}

/** Everybody on this machine can see what it is: it must hold no secret. */
export function openInBrowser(target: string): void {
  const program = process.platform === 'darwin' ? 'open' : 'xdg-open';
  const browser = spawn(program, [target], { stdio: 'ignore', detached: true });
  browser.once('error', () => process.stderr.write(`${program} is not there: open the link yourself.\n`));
  browser.unref();
}
