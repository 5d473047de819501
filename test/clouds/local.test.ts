import { conformance } from './conformance.ts';
import { Lab, MODES } from './local-lab.ts';

for (const mode of MODES) {
  conformance(`local (${mode})`, async () => {
    const lab = new Lab(mode);
    return {
      cloud: lab.cloud,
      authorizedKey: lab.keys.public,
      patience: 10_000,
      limit: async (machines) => lab.limit(machines),
      run: async (instance, command) => (await lab.run(instance, command)).stdout,
      dispose: () => lab.dispose(),
    };
  });
}
