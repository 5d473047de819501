import type { Command } from 'commander';
import { StyxError } from '../../model/errors.ts';
import { wantedPorts } from '../../model/machine-wants.ts';
import { forClusters } from '../bulk.ts';
import { configOption, debugOption, outputOption } from '../options.ts';
import { type CommonOptions, runCommand } from '../run.ts';

interface Options extends CommonOptions {
  readonly open?: readonly string[];
  readonly close?: readonly string[];
}

export function configure(command: Command): void {
  command
    .argument('<cluster>', 'its name')
    .option('--open <ports...>', 'ports that anybody may reach from now on, such as 8080 or 8000-8010')
    .option('--close <ports...>', 'ports that nobody may reach any more');
  outputOption(configOption(debugOption(command))).action((cluster: string, options: Options) =>
    runCommand(options, (context) => {
      const [open, close] = [listed('--open', options.open), listed('--close', options.close)];
      if (open.length + close.length === 0) {
        throw new StyxError('invalid', 'neither --open nor --close was given', {
          hint: `\`styx status --endpoints ${cluster}\` prints what is open.`,
        });
      }
      const both = [
        ...(open.length === 0 ? [] : [`open: ${open.join(', ')}`]),
        ...(close.length === 0 ? [] : [`closed: ${close.join(', ')}`]),
      ];
      return forClusters(context, [cluster], options, {
        doing: 'Changing the ports of',
        done: `has ports ${both.join('; ')}`,
        asks: false,
        send: (styx, name, onProgress) => styx.clusters.ports(name, { open, close }, { onProgress }),
      });
    }),
  );
}

function listed(option: string, given: readonly string[] = []): readonly string[] {
  try {
    return wantedPorts(given);
  } catch (error) {
    throw new StyxError('invalid', `${option} ${(error as Error).message}`);
  }
}
