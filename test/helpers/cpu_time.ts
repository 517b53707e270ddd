/**
 * Milliseconds that this process has computed, whatever else the machine does: for tests that something does not take
 * minutes.
 */
export function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}
