import type { Command } from 'commander';
import { configureGpuList } from '../gpu-list.ts';

export function configure(command: Command): void {
  configureGpuList(command.command('list').description('show accelerators, who offers them and for how much'));
}
