import { setTimeout } from "node:timers/promises";
import { types } from "node:util";
import { argumentError } from "../checks.js";
import { DistilleryError } from "../errors.js";
import { fromUserCode } from "../user_code.js";
import { expectGoing } from "./run_concurrently.js";

/** How a teacher is called again after a failure. */
export interface RetryOptions {
  /**
   * How often a failed call is repeated, with doubling waits. Default: 5 times after an error that asks for it (`retry:
   * true`, or `retryAfter`: seconds), never after others; if given, after any error.
   */
  retries?: number;
  /** The milliseconds before the first retry; default 500. */
  backoff?: number;
}

export const RETRIES = 5;
const BACKOFF = 500;
const LONGEST = 60_000;

/**
 * Returns what `ask` returns, repeating it as the options and its errors say; synchronously if it is not a promise. The
 * last error names the `samples`.
 */
export function retry<T>(
  ask: () => T | Promise<T>,
  options: RetryOptions,
  samples: () => string,
  signal: AbortSignal,
): T | Promise<T> {
  const failedFirst = (error: unknown) => {
    expectGoing(signal);
    return again(waitAfter(error, 0, options, samples));
  };
  const again = async (first: number): Promise<T> => {
    let wait = first;
    for (let tries = 1; ; tries++) {
      await setTimeout(wait, undefined, { signal }).catch(() => expectGoing(signal));
      try {
        return await ask();
      } catch (error) {
        expectGoing(signal);
        wait = waitAfter(error, tries, options, samples);
      }
    }
  };
  try {
    const given = ask();
    return types.isPromise(given) ? given.catch(failedFirst) : given;
  } catch (error) {
    return failedFirst(error);
  }
}

/** The milliseconds until the next attempt; throws the error if there is none. */
function waitAfter(
  error: unknown,
  tries: number,
  { retries, backoff = BACKOFF }: RetryOptions,
  samples: () => string,
): number {
  // A wrong answer would not be better the next time.
  if (error instanceof DistilleryError) throw error;
  const { retry: isAsked, retryAfter } = (error ?? {}) as { retry?: unknown; retryAfter?: unknown };
  const says = isAsked === true || typeof retryAfter === "number";
  if (tries >= (retries ?? (says ? RETRIES : 0))) throw failed(error, samples(), tries);
  const wait = typeof retryAfter === "number" && retryAfter >= 0 ? 1000 * retryAfter : backoff * 2 ** tries;
  return Math.min(wait, LONGEST);
}

function failed(error: unknown, samples: string, tries: number): DistilleryError {
  const again = tries === 0 ? "" : `, asked ${tries + 1} times`;
  const own = fromUserCode(error)?.message ?? (error instanceof Error ? error.message : String(error));
  return argumentError("teacher", `${samples}${again}: ${own}${causeOf(error)}`, { cause: error });
}

/** Says why a request failed: the message of `fetch` alone is "fetch failed". */
function causeOf(error: unknown): string {
  const { cause } = Object(error) as { cause?: unknown };
  if (!(cause instanceof Error)) return "";
  // An address of several hosts has an error for each, and a message for none.
  const text = cause.message || (cause as NodeJS.ErrnoException).code;
  return text ? ` (${text})` : "";
}
