import type { ConfigName } from "../config/index.js";
import { withLogFile } from "../log/index.js";
import { reportFailure } from "./errors.js";
import type { ShowFlags } from "./flags.js";
import { type Settings, settingsOf } from "./settings.js";

/** A command's body whose failure is printed and sets the exit code. */
export function guarded<F extends ShowFlags>(body: (flags: F) => Promise<void>): (flags: F) => Promise<void> {
  return async (flags) => {
    try {
      await body(flags);
    } catch (error) {
      process.exitCode = reportFailure(error, flags.debug ?? false);
    }
  };
}

/** The same for a command with a configuration, which is read and checked first; inside the log file where there is one. */
export function configured<C extends ConfigName, F extends ShowFlags>(
  command: C,
  body: (settings: Settings<C>, flags: F) => Promise<void>,
): (flags: F) => Promise<void> {
  return guarded(async (flags) => {
    const settings = await settingsOf(command, { ...flags } as Record<string, unknown>);
    const run = guarded<F>((given) => body(settings, given));
    const { logFile } = settings.config;
    if (logFile === false) await run(flags);
    else await withLogFile(() => run(flags), logFile === true ? undefined : logFile);
  });
}
