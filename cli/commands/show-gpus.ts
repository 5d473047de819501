export { configureGpuList as configure } from '../gpu-list.ts';
