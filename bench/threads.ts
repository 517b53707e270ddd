import { getNumThreads, setNumThreads } from "distillery";

/** What `body` gives with so many threads for the kernels; their number is set back. */
export function withThreads<T>(threads: number, body: () => T): T {
  const before = getNumThreads();
  setNumThreads(threads);
  try {
    return body();
  } finally {
    setNumThreads(before);
  }
}

/** The same for a body that is waited for. */
export async function withThreadsAsync<T>(threads: number, body: () => Promise<T>): Promise<T> {
  const before = getNumThreads();
  setNumThreads(threads);
  try {
    return await body();
  } finally {
    setNumThreads(before);
  }
}
