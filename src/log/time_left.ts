/** How long a work of many steps still takes, by the pace of its second half so far: earlier steps count no more. */
export class TimeLeft {
  /** What was done when, in seconds, the oldest first. */
  readonly #marks: { time: number; done: number }[] = [];
  #start = 0;

  /** In seconds; null as long as it is too early to tell. */
  after(done: number, total: number, now: number): number | null {
    const marks = this.#marks;
    const last = marks.at(-1);
    if (last === undefined) this.#start = now;
    const elapsed = now - this.#start;
    if (last === undefined || now - last.time >= elapsed / MAX_MARKS) marks.push({ time: now, done });
    while ((marks[1]?.time ?? now) < now - elapsed / 2) marks.shift();
    const [first] = marks;
    if (elapsed < MIN_SECONDS || done <= first.done) return null;
    return ((total - done) * (now - first.time)) / (done - first.done);
  }
}

const MAX_MARKS = 200;
const MIN_SECONDS = 1;

/** 3725 seconds as 1:02:05. */
export function formatSeconds(seconds: number): string {
  const [whole, two] = [Math.ceil(seconds), (x: number) => String(x % 60).padStart(2, "0")];
  const minutes = Math.floor(whole / 60);
  return whole < 3600 ? `${minutes}:${two(whole)}` : `${Math.floor(minutes / 60)}:${two(minutes)}:${two(whole)}`;
}
