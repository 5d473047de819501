/** `sky-2026-11-22-17-58-13-042000_<cluster>_<job>`: the id that SkyPilot's users key checkpoints by. UTC. */
export function taskId(clusterName: string, jobId: number, submittedAt: number): string {
  const [date = '', time = ''] = new Date(submittedAt).toISOString().split('T');
  const micros = `${String(submittedAt % 1000).padStart(3, '0')}000`;
  return `sky-${date}-${time.slice(0, 8).replaceAll(':', '-')}-${micros}_${clusterName}_${jobId}`;
}
