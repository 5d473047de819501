/** Bundles the workflows when they have changed. */
import { workflowBundle } from '../workers/bundle.ts';

const { codePath } = await workflowBundle((message) => console.log(message));
console.log(codePath);
